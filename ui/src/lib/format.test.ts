import { expect, test } from 'vitest';
import { about, ago, bytes, context, count, countdown, duration, plural, rate } from './format';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [253113024, '241 MiB'],
  [25276510208, '23.5 GiB'],
  [null, '–'],
])('bytes %s', (value, text) => expect(bytes(value)).toBe(text));

test.each([
  [0, '0 s'],
  [0.0421, '42 ms'],
  [0.9996, '1.0 s'],
  [3.24, '3.2 s'],
  [7, '7 s'],
  [59.6, '1 min'],
  [75, '1 min 15 s'],
  [3600, '1 h'],
  [7300, '2 h 1 min'],
  [90000, '1 d 1 h'],
  [-3, '0 s'],
  [NaN, '–'],
])('duration %s', (value, text) => expect(duration(value)).toBe(text));

test('how long something will take, in words', () => {
  expect([about(8.2), about(170), about(1.4), about(null)]).toEqual(['about 8 s', 'about 3 min', '', '']);
});

test('countdowns keep their width', () => {
  expect([countdown(0), countdown(4.2), countdown(245), countdown(3729)]).toEqual(['0:00', '0:05', '4:05', '1:02:09']);
});

test('contexts in thousands where they are', () => {
  expect([context(32768), context(2000), context(0), context(131072)]).toEqual(['32k', '2,000', '–', '128k']);
});

test('words around numbers', () => {
  expect([plural(1, 'model'), plural(3, 'model'), plural(1234, 'file')]).toEqual([
    '1 model',
    '3 models',
    '1,234 files',
  ]);
  expect([rate(93.84), rate(182.4), rate(0), rate(null)]).toEqual(['93.8', '182', '0', '–']);
  expect([count(1234567), ago(100, 102_000), ago(100, 190_000)]).toEqual(['1,234,567', 'now', '1 min 30 s ago']);
});
