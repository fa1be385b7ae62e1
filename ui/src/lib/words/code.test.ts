import { expect, test } from 'vitest';
import { coded } from './code';

const html = (text: string) =>
  coded(text)
    .map(({ text: each, code }) => (code ? `<${each}>` : each))
    .join('');

test('pairs of backticks are code', () => {
  expect(html('write `cmd: x` or run `claracore doctor`')).toBe('write <cmd: x> or run <claracore doctor>');
});

test('what is no pair stays', () => {
  expect(html('a ` alone')).toBe('a ` alone');
  expect(html('`` and `x')).toBe('`` and `x');
  expect(html('two `lines\nof` it')).toBe('two `lines\nof` it');
  expect(coded('')).toEqual([]);
});
