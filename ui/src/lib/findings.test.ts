import { expect, test } from 'vitest';
import { columnOf, lineOf, worstFirst } from './findings';
import type { Finding } from './api/types';

const finding = (more: Partial<Finding>): Finding => ({
  severity: 'note',
  message: '',
  path: '',
  way_out: '',
  ...more,
});

test('places are read in both spellings', () => {
  expect([lineOf(finding({ line: 5, column: 2 })), columnOf(finding({ line: 5, column: 2 }))]).toEqual([5, 2]);
  const place = finding({ place: 'C:\\a b\\config.yaml:12:7' });
  expect([lineOf(place), columnOf(place)]).toEqual([12, 7]);
  expect(lineOf(finding({}))).toBe(null);
});

test('errors come first', () => {
  const all = worstFirst([finding({}), finding({ severity: 'error' }), finding({ severity: 'warning' })]);
  expect(all.map((each) => each.severity)).toEqual(['error', 'warning', 'note']);
});
