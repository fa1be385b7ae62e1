import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import { consequences, nothing } from './changes';

const NONE = { added: [], removed: [], restart: [], soft: [], kept: [], settings: [], needs_new_start: [] };

test('what runs is told from what does not, and the worst comes first', () => {
  const models = [
    model('a', { state: 'ready', serving: 2 }),
    model('b'),
    model('c', { state: 'ready' }),
    model('d', { state: 'ready' }),
  ];
  const found = consequences(
    { ...NONE, kept: ['d', 'e'], restart: ['a', 'b'], removed: ['c'], added: ['n'], soft: ['s'] },
    models,
  );
  expect(found.map((each) => `${each.what} ${each.id}`)).toEqual([
    'stop c',
    'restart a',
    'new n',
    'changed b',
    'changed s',
    'stay d',
  ]);
  expect(found[1]?.text).toBe('restarts with its new command, after its 2 answers ended');
});

test('kept models alone are nothing', () => {
  expect(nothing({ ...NONE, kept: ['a'] })).toBe(true);
  expect(nothing({ ...NONE, settings: ['logLevel'] })).toBe(false);
});
