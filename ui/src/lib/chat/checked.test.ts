import { expect, test } from 'vitest';
import { outside } from './checked';

test.each([
  [{ min: 0, max: 2 }, 9, 'From 0 to 2'],
  [{ min: 0, max: 2 }, 2, ''],
  [{ min: 1 }, 0, 'At least 1'],
  [{ max: 1 }, 3, 'At most 1'],
  [{}, 7, ''],
  [{ min: 1 }, null, ''],
])('%o %s', (bounds, value, words) => expect(outside(bounds, value)).toBe(words));
