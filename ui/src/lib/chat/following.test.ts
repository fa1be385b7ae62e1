import { expect, test } from 'vitest';
import { atEnd, follows } from './following';

const at = (scrollTop: number, scrollHeight = 1000) => ({ scrollTop, scrollHeight, clientHeight: 300 });

test('nearly at the end is at the end', () => {
  expect([atEnd(at(700)), atEnd(at(665)), atEnd(at(600))]).toEqual([true, true, false]);
  expect(atEnd({ scrollTop: 0, scrollHeight: 200, clientHeight: 300 })).toBe(true);
});

test('who scrolls up is left alone until they are back', () => {
  expect(follows(true, 700, at(500))).toBe(false);
  expect(follows(false, 500, at(560))).toBe(false);
  expect(follows(false, 560, at(690))).toBe(true);
});

test('what grows below does not end the following, nor does what shrinks', () => {
  expect(follows(true, 700, at(700, 1200))).toBe(true);
  expect(follows(true, 700, at(200, 500))).toBe(true);
});
