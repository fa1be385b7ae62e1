// @vitest-environment jsdom
import { afterEach, expect, test, vi } from 'vitest';
import { type Message, UNSET, brokenOff, emptyAnswer, pictured, userMessage } from './conversation';
import { merged, newThread } from './thread';
import {
  allThreads,
  forgetThread,
  heardChange,
  keepThread,
  onKept,
  readThread,
  recallOpened,
  rememberOpened,
} from './threads';
import { chained } from './tree';

afterEach(() => {
  localStorage.clear();
  sessionStorage.clear();
  vi.restoreAllMocks();
});

const said = (text: string, at: number): Message => ({ ...userMessage(text), at });
const answered = (text: string, at: number): Message => ({ ...emptyAnswer(), text, at });
const thread = (...messages: Message[]) => ({
  ...newThread('a'),
  id: 'x',
  messages: chained(messages),
  leaf: messages.at(-1)?.id ?? null,
});
const texts = ({ messages }: { messages: Message[] }) => messages.map(({ text }) => text);

test('a conversation and a draft are there again after a reload', () => {
  const held = { ...thread(said('hi', 1), answered('hello', 2)), parameters: { ...UNSET, seed: 3 } };
  keepThread(held);
  rememberOpened({ threads: [held], draft: 'and th' });
  expect(recallOpened()).toEqual({ threads: [held], draft: 'and th' });
});

test('a new tab opens what the last one had, and a tab keeps what it had itself', () => {
  const [first, second] = [thread(said('one', 1)), { ...thread(said('two', 2)), id: 'y' }];
  for (const each of [first, second]) keepThread(each);
  rememberOpened({ threads: [first], draft: '' });
  const own = sessionStorage.getItem('claracore.chat.tab')!;
  rememberOpened({ threads: [second], draft: '' });
  sessionStorage.clear();
  expect(recallOpened().threads).toEqual([second]);
  sessionStorage.setItem('claracore.chat.tab', own);
  expect(recallOpened().threads).toEqual([first]);
});

test('what two tabs said at the same place of one conversation are two versions', () => {
  const start = said('start', 1);
  keepThread(thread(start, said('of one tab', 3)));
  keepThread(thread(start, said('of the other', 2)));
  expect(texts(readThread('x')!)).toEqual(['start', 'of the other', 'of one tab']);
  expect(readThread('x')!.messages.map(({ parent }) => parent)).toEqual([null, start.id, start.id]);
});

test('of an answer the version that knows more is kept, and ours where they know the same', () => {
  const growing = answered('Hel', 1);
  const longer = { ...growing, text: 'Hello' };
  const failed = { ...growing, text: '', error: 'it died' };
  expect(texts(merged(thread(growing), thread(longer)))).toEqual(['Hello']);
  expect(merged(thread(longer), thread(failed)).messages).toEqual([failed]);
  const ours = thread(longer);
  expect(merged(ours, thread({ ...longer })).messages[0]).toBe(ours.messages[0]);
});

test('what one tab says is followed in another that looks at the same end', () => {
  const [question, answer] = [said('why', 1), answered('because', 2)];
  const [before, after] = [thread(question), thread(question, answer)];
  expect(merged(before, after).leaf).toBe(answer.id);
  expect(merged(after, before).leaf).toBe(answer.id);
  expect(merged(after, { ...thread(question, answered('no', 3)) }).leaf).toBe(answer.id);
});

test('the last name and the last parameters count, whoever gave them', () => {
  const named = { ...thread(said('why', 1)), title: 'Why', titledAt: 2 };
  const tuned = { ...named, title: 'Old', titledAt: 1, parameters: { ...UNSET, seed: 1 }, tunedAt: 1 };
  for (const whole of [merged(named, tuned), merged(tuned, named)])
    expect(whole).toMatchObject({ title: 'Why', parameters: { seed: 1 } });
});

test('another tab is heard, and only about conversations', () => {
  keepThread(thread(said('hi', 1)));
  const key = 'claracore.chat.thread.x';
  const heard = (init: StorageEventInit) => heardChange(new StorageEvent('storage', init));
  expect(heard({ key, newValue: localStorage.getItem(key) })).toEqual({ id: 'x', value: readThread('x') });
  expect(heard({ key, newValue: null })).toEqual({ id: 'x', value: null });
  expect(heard({ key, newValue: '{' })).toBeNull();
  expect(heard({ key: 'theme', newValue: '"dark"' })).toBeNull();
});

test('whoever shows conversations hears what this tab keeps and forgets, and finds all that are there', () => {
  const heard: [string, number | undefined][] = [];
  onKept((id, kept) => heard.push([id, kept?.messages.length]));
  keepThread(thread(said('hi', 1)));
  keepThread({ ...thread(said('ho', 1)), id: 'y' });
  localStorage.setItem('claracore.chat.thread.z', 'odd');
  expect(
    allThreads()
      .map(({ id }) => id)
      .sort(),
  ).toEqual(['x', 'y']);
  forgetThread('x');
  expect(heard).toEqual([
    ['x', 1],
    ['y', 1],
    ['x', undefined],
  ]);
});

test('without room the words are kept and the images go', () => {
  const set = Storage.prototype.setItem;
  vi.spyOn(Storage.prototype, 'setItem').mockImplementation(function (this: Storage, key, value) {
    if (value.length > 1000) throw new DOMException('full', 'QuotaExceededError');
    set.call(this, key, value);
  });
  keepThread(thread(userMessage('hi', { parts: [pictured(`data:${'x'.repeat(2000)}`)], files: [] })));
  expect(readThread('x')!.messages[0]).toMatchObject({ text: 'hi', parts: [] });
});

test('an empty conversation is not kept', () => {
  keepThread(thread(said('hi', 1)));
  keepThread(thread());
  expect(readThread('x')).toBeNull();
});

test('what an older interface kept is taken over', () => {
  const { at: _, parent: __, parts: ___, ...old } = { ...said('hi', 1), images: ['data:image/png;base64,AA'] };
  localStorage.setItem('claracore.chat', JSON.stringify({ panes: [{ model: 'a', messages: [old] }], parameters: {} }));
  const [found] = recallOpened().threads;
  expect(found).toMatchObject({
    model: 'a',
    messages: [{ text: 'hi', parts: [pictured('data:image/png;base64,AA')] }],
  });
  expect(readThread(found!.id)).toEqual(found);
});

test.each(['{', 'null', '{"open":[]}', '{"open":[3]}', '{"open":{},"draft":4}'])(
  'what cannot be read is as if it were not there: %s',
  (stored) => {
    localStorage.setItem('claracore.chat.tab', stored);
    expect(recallOpened()).toMatchObject({ threads: [{ model: '', messages: [] }], draft: '' });
  },
);

test('odd records and messages are left out', () => {
  localStorage.setItem('claracore.chat.thread.x', '{"id":"x","messages":[null,3,{"role":"system"},{"role":"user"}]}');
  expect(texts(readThread('x')!)).toEqual(['']);
  localStorage.setItem('claracore.chat.thread.x', '{"messages":[]}');
  expect(readThread('x')).toBeNull();
});

test('an answer without an end broke off', () => {
  expect(brokenOff(answered('Hel', 1))).toBe(true);
  expect(brokenOff({ ...answered('Hel', 1), stopped: true })).toBe(false);
  expect(brokenOff(said('hi', 1))).toBe(false);
});
