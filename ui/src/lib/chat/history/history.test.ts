import { expect, test } from 'vitest';
import { userMessage } from '../conversation';
import { type Thread, newThread } from '../thread';
import { byDay, entriesOf, searched, titleOf } from './history';

const thread = (text: string, at: number, more: Partial<Thread> = {}): Thread => {
  const message = { ...userMessage(text), at };
  return { ...newThread('m'), id: `${text}${at}`, messages: [message], leaf: message.id, ...more };
};

test('a title is what it is called, or its first words', () => {
  expect(titleOf(thread('  What\n is  this? ', 1))).toBe('What is this?');
  expect(titleOf(thread('What is this?', 1, { title: 'Cats' }))).toBe('Cats');
  expect(titleOf(thread(' ', 1))).toBe('Untitled');
  const long = titleOf(thread('word '.repeat(40), 1));
  expect(long).toMatch(/word…$/);
  expect(long.length).toBeLessThan(62);
  expect(titleOf(thread('x'.repeat(100), 1))).toHaveLength(61);
});

test('the newest is first, and those of a comparison are one', () => {
  const all = [
    thread('old', 1),
    thread('a', 5, { comparison: 'c' }),
    thread('new', 9),
    thread('b', 7, { comparison: 'c' }),
  ];
  expect(entriesOf(all).map(({ title, at, threads }) => [title, at, threads.length])).toEqual([
    ['new', 9, 1],
    ['a', 7, 2],
    ['old', 1, 1],
  ]);
});

test('titles and texts are searched, for all words', () => {
  const all = entriesOf([thread('The cat sits', 1), thread('A dog', 2, { title: 'On cats and dogs' })]);
  const found = (wanted: string) => searched(all, wanted).map(({ at }) => at);
  expect(found('CAT')).toEqual([2, 1]);
  expect(found('dog cats')).toEqual([2]);
  expect(found('bird')).toEqual([]);
  expect(found('  ')).toHaveLength(2);
});

test('days are those of the reader', () => {
  const now = new Date(2026, 2, 1, 9);
  const at = (...when: [number, number, number, number?, number?]) => new Date(...when).getTime();
  const all = entriesOf([
    thread('a', at(2026, 2, 1, 0, 0)),
    thread('b', at(2026, 1, 28, 23, 59)),
    thread('c', at(2026, 1, 28)),
    thread('d', at(2026, 1, 27, 23, 59)),
  ]);
  expect(byDay(all, now).map(({ name, entries }) => [name, entries.length])).toEqual([
    ['Today', 1],
    ['Yesterday', 2],
    ['Earlier', 1],
  ]);
  expect(byDay([], now)).toEqual([]);
});
