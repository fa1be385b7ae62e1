import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import type { Model } from '../api/types';
import { firstToTalkTo } from './first';

const sized = (id: string, expected: Record<string, number>, more: Partial<Model> = {}) =>
  model(id, { memory: { devices: {}, source: 'estimated', expected, measured: null }, ...more });
const picked = (...models: Model[]) => firstToTalkTo(models)?.id ?? null;

test('the largest that is on a card as a whole', () => {
  const [small, large, split] = [
    sized('small', { gpu0: 2e9 }),
    sized('large', { gpu0: 9e9, ram: 3e8 }),
    sized('split', { gpu0: 9e9, ram: 9e9 }),
  ];
  expect(picked(small, large, split)).toBe('large');
});

test('without a card the largest that is fast enough, else the smallest', () => {
  const [tiny, good, slow] = [sized('tiny', { ram: 3e8 }), sized('good', { ram: 4e9 }), sized('slow', { ram: 3e10 })];
  expect(picked(tiny, good, slow)).toBe('good');
  expect(picked(slow, sized('slower', { ram: 6e10 }))).toBe('slow');
});

test('nobody who cannot talk now', () => {
  const embeds = sized('e', { ram: 1e8 }, { kind: 'embedding' });
  expect(picked(embeds, sized('big', { ram: 1e12 }, { would_not_fit: 'it is too large' }))).toBeNull();
  expect(picked(embeds, model('unknown'))).toBe('unknown');
});
