import { expect, test } from 'vitest';
import { KEPT_LINES, joined, kept, levelOf, matching } from './logs';

const line = (text: string, level: string | null = null, at: number | null = null) => ({ text, level, at });
const texts = (lines: { text: string }[]) => lines.map((each) => each.text).join('');

test('what history and stream both have is said once', () => {
  const history = [...'abcd'].map((text) => line(text));
  expect(
    texts(
      joined(
        history,
        [...'cdef'].map((text) => line(text)),
      ),
    ),
  ).toBe('abcdef');
  expect(texts(joined(history, [line('x')]))).toBe('abcdx');
  expect(texts(joined([], [line('x')]))).toBe('x');
  expect(texts(joined(history, history))).toBe('abcd');
});

test('equal texts at different times are different lines', () => {
  expect(joined([line('a', null, 1)], [line('a', null, 2)])).toHaveLength(2);
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
