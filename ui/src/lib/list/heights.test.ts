import { expect, test } from 'vitest';
import { offsetsOf, rowsIn } from './heights';

const IDS = ['a', 'b', 'c', 'd'];

test('rows that were never drawn are as high as the others', () => {
  expect(offsetsOf(IDS, new Map(), 50)).toEqual([0, 50, 100, 150, 200]);
  const drawn = new Map([
    ['a', 60],
    ['c', 80],
  ]);
  expect(offsetsOf(IDS, drawn, 50)).toEqual([0, 60, 130, 210, 280]);
});

test('those are drawn that touch what is seen', () => {
  const offsets = offsetsOf(IDS, new Map(), 50);
  expect(rowsIn(offsets, -500, 49)).toEqual([0, 1]);
  expect(rowsIn(offsets, 60, 120)).toEqual([1, 3]);
  expect(rowsIn(offsets, 160, 9000)).toEqual([3, 4]);
});

test('nothing is drawn of a list that is elsewhere on the page, or empty', () => {
  const offsets = offsetsOf(IDS, new Map(), 50);
  expect(rowsIn(offsets, 300, 400)).toEqual([0, 0]);
  expect(rowsIn(offsets, -400, -300)).toEqual([0, 0]);
  expect(rowsIn([0], 0, 100)).toEqual([0, 0]);
});
