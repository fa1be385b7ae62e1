import { beforeEach, describe, expect, it, vi } from 'vitest';
import { notices } from './notices.svelte';

const texts = () => notices.all.map(({ text }) => text);
const undo = { label: 'Undo', run: () => {} };

beforeEach(() => {
  vi.useFakeTimers();
  notices.hold(false);
  for (const { id } of [...notices.all]) notices.close(id);
});

describe('how many messages stand at once', () => {
  it('is three: the oldest give way, with a button or without', () => {
    for (const each of ['one', 'two', 'three', 'four', 'five']) notices.say(each, 'ok', undo);
    expect(texts()).toEqual(['three', 'four', 'five']);
  });
  it('is more for errors only, and the newest is always among them', () => {
    notices.say('done');
    for (const each of ['one', 'two', 'three', 'four']) notices.say(each, 'bad');
    expect(texts()).toEqual(['one', 'two', 'three', 'four']);
    notices.say('done again');
    expect(texts()).toEqual(['one', 'two', 'three', 'four', 'done again']);
    for (const each of ['five', 'six']) notices.say(each, 'bad');
    expect(texts()).toEqual(['two', 'three', 'four', 'five', 'six']);
  });
  it('is not lessened under a hand, but when it is gone', () => {
    notices.say('one', 'ok', undo);
    notices.hold(true);
    for (const each of ['two', 'three', 'four']) notices.say(each);
    expect(texts()).toEqual(['one', 'two', 'three', 'four']);
    notices.hold(false);
    expect(texts()).toEqual(['two', 'three', 'four']);
  });
  it('goes down with time', () => {
    notices.say('one');
    notices.say('two', 'ok', undo);
    notices.say('three', 'bad');
    vi.advanceTimersByTime(4000);
    expect(texts()).toEqual(['two', 'three']);
    vi.advanceTimersByTime(11_000);
    expect(texts()).toEqual(['three']);
  });
});
