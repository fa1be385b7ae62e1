import { expect, test } from 'vitest';
import { Join } from './join';

const event = (id: number) => ({ id });

test('what is newer than a snapshot is put on top of it, what is older is not', () => {
  const join = new Join();
  join.begin();
  expect(join.hear(event(5))).toBe(true);
  expect(join.hear(event(7))).toBe(true);
  expect(join.arrived(6)).toEqual([event(7)]);
  expect(join.hear(event(6))).toBe(false);
  expect(join.hear(event(8))).toBe(true);
});

test('a snapshot that was overtaken by another is not shown', () => {
  const join = new Join();
  join.begin();
  join.begin();
  join.hear(event(4));
  expect(join.arrived(9)).toEqual([]);
  expect(join.arrived(3)).toBe(null);
});

test('a server that began anew counts from where it likes', () => {
  const join = new Join();
  join.begin();
  join.arrived(1000);
  join.follow(1000);
  expect(join.hear(event(30))).toBe(false);
  join.follow(20);
  expect(join.hear(event(30))).toBe(true);
});

test('one that failed leaves what is heard as it is', () => {
  const join = new Join();
  join.begin();
  join.failed();
  expect(join.hear(event(1))).toBe(true);
  join.begin();
  expect(join.arrived(0)).toEqual([]);
});

test('events without an id are always news', () => {
  const join = new Join();
  join.begin();
  expect(join.hear({ id: null })).toBe(true);
  expect(join.arrived(100)).toEqual([{ id: null }]);
});
