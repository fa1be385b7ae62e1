import { expect, test } from 'vitest';
import { type Painting, newestFirst, overBound, restoredPainting } from './paintings';

const painting = (id: string, at: number, bytes = 1): Painting => ({
  id,
  at,
  bytes,
  prompt: 'a cat',
  model: 'm',
  size: '512x512',
  seed: 5,
  pictures: [{ url: 'kept:a1', ending: 'png' }],
  seconds: 2.5,
});
const ids = (all: readonly Painting[]) => all.map(({ id }) => id).join(' ');

test('the newest is first, in every tab', () => {
  const all = [painting('b', 1), painting('c', 2), painting('a', 1)];
  for (const each of [all, all.toReversed()]) expect(ids(newestFirst(each))).toBe('c b a');
});

test.each([
  [3, 30, 'nobody goes', ''],
  [2, 30, 'by number', 'old'],
  [3, 29, 'by bytes', 'old'],
  [3, 19, 'so many that the rest is within the bound', 'mid old'],
  [0, 0, 'all but the newest', 'mid old'],
])('the oldest go: at most %i of %i bytes, %s', (most, bytes, _, gone) => {
  const all = [painting('mid', 2, 10), painting('old', 1, 10), painting('new', 3, 10)];
  expect(ids(overBound(all, most, bytes))).toBe(gone);
});

test('what is older than one for which there is no room goes with it, however small', () => {
  expect(ids(overBound([painting('small', 1, 1), painting('large', 2, 50), painting('new', 3, 10)], 9, 30))).toBe(
    'large small',
  );
});

test('what was written is read again', () => {
  const whole = painting('a', 1);
  expect(restoredPainting(JSON.parse(JSON.stringify(whole)))).toEqual(whole);
  expect(restoredPainting({ ...whole, seed: null })).toMatchObject({ seed: null });
});

test('what does not fit is left out, and nothing else is fetched or run for what a record says', () => {
  const urls = ['kept:a1', 'https://x/y.png', 'javascript:x', 'data:text/html,x', '/api/x', 3, null];
  const pictures = urls.map((url) => ({ url, ending: 3 }));
  expect(restoredPainting({ id: 'a', seed: 'x', pictures: [...pictures, null] })).toEqual({
    ...painting('a', 0, 0),
    ...{ prompt: '', model: '', size: '', seed: null, seconds: 0 },
    pictures: ['kept:a1', 'https://x/y.png'].map((url) => ({ url, ending: 'png' })),
  });
  for (const none of [null, 3, {}, { id: '', pictures }, { id: 'a', pictures: [] }])
    expect(restoredPainting(none)).toBeNull();
});
