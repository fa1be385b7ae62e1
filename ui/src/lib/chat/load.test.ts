import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import { goesOn } from './load';

const loads = model('phi', { state: 'starting', progress: 0.4, expected_seconds: 8 });

test('a load that nobody waits for', () => {
  expect(goesOn(loads)).toBe('phi goes on loading (40 %, about 8 s). Nobody waits for it.');
  expect(goesOn(model('phi', { name: 'Phi', state: 'starting' }))).toBe('Phi goes on loading. Nobody waits for it.');
  expect(goesOn({ ...loads, waiting: 1 }, 1)).not.toBe('');
});

test('one that somebody waits for, or that is to stay, and what does not load', () => {
  expect(goesOn({ ...loads, waiting: 1 })).toBe('');
  expect(goesOn({ ...loads, waiting: 2 }, 1)).toBe('');
  expect(goesOn({ ...loads, pinned: true })).toBe('');
  expect(goesOn({ ...loads, state: 'ready' })).toBe('');
});
