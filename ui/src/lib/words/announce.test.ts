import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import { announcement } from './announce';

const [stopped, starting, stopping] = (['stopped', 'starting', 'stopping'] as const).map((state) =>
  model('a', { state }),
);
const ready = model('a', { state: 'ready', name: 'Alpha' });
const failed = model('a', { error: 'out of memory\nlog' });

test.each([
  [starting, ready, 'Alpha is ready'],
  [starting, failed, 'a failed: out of memory'],
  [starting, stopped, 'a is not loaded: its load was ended'],
  [stopping, stopped, 'a is unloaded'],
  [stopped, starting, ''],
  [ready, ready, ''],
  [undefined, ready, ''],
])('of %# it is told', (before, now, words) => {
  expect(announcement(before, now!)).toBe(words);
});
