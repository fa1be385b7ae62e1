import { expect, test } from 'vitest';
import { KEPT_LINES, beyond, kept, levelOf, matching } from './logs';

const line = (text: string, level: string | null = null, at: number | null = null) => ({ text, level, at });
const texts = (lines: { text: string }[]) => lines.map((each) => each.text).join('');

test('what is shown and what a history has both is said once', () => {
  const shown = [...'abcd'].map((text) => line(text));
  const news = (history: string) =>
    texts([
      ...beyond(
        shown,
        [...history].map((text) => line(text)),
      ),
    ]);
  expect(news('cdef')).toBe('ef');
  expect(news('x')).toBe('x');
  expect(news('abcd')).toBe('');
  expect(news('dd')).toBe('d');
  expect(beyond([], shown)).toEqual(shown);
});

test('equal texts at different times are different lines', () => {
  expect(beyond([line('a', null, 1)], [line('a', null, 2)])).toHaveLength(1);
});

test('old lines go', () => {
  const many = Array.from({ length: KEPT_LINES + 3 }, (_, index) => index);
  expect(kept(many)[0]).toBe(3);
});

test.each([
  [line('x', 'WARNING'), 'warning'],
  [line('0.01.538.721 E oh'), 'error'],
  [line('0.01.538.721 I fine'), 'info'],
  [line('Traceback (most recent call last):'), 'error'],
  [line('warning: careful'), 'warning'],
  [line('nothing special'), null],
])('levels %#', (given, level) => expect(levelOf(given)).toBe(level));

test('every word must be in the line, colours do not count, unknown levels are info', () => {
  const lines = [line('\x1b[31mLoad\x1b[0ming model'), line('model unloaded'), line('0.1 D model detail')];
  expect(matching(lines, 'loading MODEL', 'debug')).toHaveLength(1);
  expect(matching(lines, '', 'info')).toHaveLength(2);
  expect(matching(lines, '', 'warning')).toHaveLength(0);
});
