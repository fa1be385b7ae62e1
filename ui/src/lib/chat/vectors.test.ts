import { expect, test } from 'vitest';
import { cosine, lines, ranked, similarities } from './vectors';

test('directions are compared, lengths are not', () => {
  expect(cosine([1, 0], [5, 0])).toBe(1);
  expect(cosine([1, 0], [0, 2])).toBe(0);
  expect(cosine([1, 1], [-2, -2])).toBeCloseTo(-1);
  expect(cosine([0, 0], [1, 1])).toBe(0);
  expect(
    similarities([
      [1, 0],
      [0, 1],
    ]),
  ).toEqual([
    [1, 0],
    [0, 1],
  ]);
});

test('the best comes first and has the longest bar', () => {
  const rows = ranked([
    { index: 0, relevance_score: -2 },
    { index: 1, relevance_score: 6 },
    { index: 2, relevance_score: 2 },
  ]);
  expect(rows.map((row) => [row.index, row.share])).toEqual([
    [1, 1],
    [2, 0.5],
    [0, 0],
  ]);
  expect(ranked([{ index: 0, relevance_score: 3 }])[0]?.share).toBe(1);
  expect(ranked([])).toEqual([]);
});

test('texts are lines that say something', () => {
  expect(lines(' a \n\n  \nb')).toEqual(['a', 'b']);
});
