import { expect, test } from 'vitest';
import { laidOut, placeOf, scrolledTo, seenOf } from './layout';
import type { Shelf } from './offers';

const shelf = (title: string, ...values: string[]): Shelf => ({
  key: title,
  title,
  choices: values.map((value) => ({ value, title: value, model: null })),
});
const HEIGHTS = { heading: 10, line: 20 };
const { blocks, height } = laidOut([shelf('', 'all'), shelf('Loaded', 'a', 'b'), shelf('Qwen', 'c', 'd')], HEIGHTS);
const values = (from: number, to: number, kept?: string) =>
  seenOf(blocks, { from, to }, HEIGHTS.line, kept).map((block) =>
    block.lines.map(({ choice }) => choice.value).join(''),
  );

test('lines follow each other, with headings between them', () => {
  expect(height).toBe(120);
  expect(blocks.map(({ top }) => top)).toEqual([0, 20, 70]);
  expect(blocks[1]!.lines.map(({ top, position }) => [top, position])).toEqual([
    [30, 2],
    [50, 3],
  ]);
});

test('only what is seen is drawn, and the line with the focus', () => {
  expect(values(25, 55)).toEqual(['ab']);
  expect(values(0, 20, 'd')).toEqual(['all', 'd']);
  expect(values(500, 600)).toEqual([]);
});

test('it is scrolled no further than needed, and a heading comes with its first line', () => {
  const to = (value: string, top: number) => scrolledTo(blocks, value, HEIGHTS, { top, height: 50 });
  expect(to('d', 0)).toBe(70);
  expect(to('a', 60)).toBe(20);
  expect(to('b', 60)).toBe(50);
  expect(to('b', 30)).toBe(30);
  expect(to('unknown', 30)).toBe(30);
});

const SEEN = { left: 0, top: 0, right: 390, bottom: 700 };
const WISH = { width: 400, height: 300 };

test('it hangs below its field within what is seen, and stands above it where there is more room', () => {
  const low = placeOf({ left: 100, top: 40, right: 300, bottom: 70 }, SEEN, 700, WISH);
  expect(low).toEqual({ left: 8, width: 374, top: 74, bottom: null, height: 300 });
  const high = placeOf({ left: 100, top: 600, right: 300, bottom: 630 }, SEEN, 700, WISH);
  expect(high).toMatchObject({ top: null, bottom: 104, height: 300 });
});

test('a keyboard on the screen leaves less room', () => {
  const seen = { ...SEEN, bottom: 330 };
  expect(placeOf({ left: 8, top: 40, right: 300, bottom: 70 }, seen, 700, WISH)).toMatchObject({
    top: 74,
    height: 248,
  });
});
