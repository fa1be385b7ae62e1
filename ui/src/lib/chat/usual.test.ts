import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import { usual } from './usual';

const [a, b, c] = [model('a'), model('b', { state: 'ready' }), model('c')];
const who = (favourites: string[], lately: string[], models = [a, b, c]) =>
  usual(models, new Set(favourites), lately)?.id;

test('the last one, else a favourite, else one that is loaded, else one that can', () => {
  expect(who(['a'], ['gone', 'c'])).toBe('c');
  expect(who(['a', 'c'], [])).toBe('a');
  expect(who(['a', 'b'], ['gone'])).toBe('b');
  expect(who([], [])).toBe('b');
  expect(who([], [], [a, c])).toBe('a');
});

test('one that converses before one that only writes on', () => {
  expect(who([], [], [model('a', { kind: 'base' }), c])).toBe('c');
  expect(who([], ['a'], [model('a', { kind: 'base' }), c])).toBe('a');
});

test('one whose start has failed only where there is no other', () => {
  const failed = model('a', { error: 'it ended' });
  expect(who(['a'], ['a'], [failed, c])).toBe('c');
  expect(who([], [], [failed])).toBe('a');
  expect(who([], [], [])).toBeUndefined();
});
