import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import { byId } from '../live';
import { type Order, likelyOrder, sections } from './sections';

const MODELS = ['gemma-3-4b', 'lonely', 'qwen3-14b', 'qwen3-8b'].map((id) => model(id));
const told = (order: Order, wanted = '', favourites: string[] = []) =>
  sections(MODELS, { order, wanted, favourites: new Set(favourites) }).map(
    (section) => `${section.title}: ${section.models.map((each) => each.id).join(' ')}`,
  );

test('families with several models have a heading of their own', () => {
  expect(told('family')).toEqual(['qwen3: qwen3-14b qwen3-8b', 'Other families: gemma-3-4b lonely']);
  expect(told('family', '14b')).toEqual(['All models: qwen3-14b']);
});

test('favourites come first, once', () => {
  expect(told('group', '', ['lonely'])).toEqual([
    'Favourites: lonely',
    'Models without a group: gemma-3-4b qwen3-14b qwen3-8b',
  ]);
  expect(told('name', 'qwen', ['lonely', 'qwen3-8b'])).toEqual(['Favourites: qwen3-8b', 'All models: qwen3-14b']);
  expect(told('name', 'nothing like it')).toEqual([]);
});

test('numbers in names count, in every order', () => {
  const many = ['m-10B', 'm-1B', 'm-3B', 'n-20B', 'n-3B'].map((id) => model(id));
  for (const order of ['group', 'family', 'name'] as const) {
    const found = sections([...many].sort(byId), { wanted: '', order, favourites: new Set() });
    expect(found.flatMap(({ models }) => models.map(({ id }) => id))).toEqual([
      'm-1B',
      'm-3B',
      'm-10B',
      'n-3B',
      'n-20B',
    ]);
  }
});

test('groups of the configuration stay, and many models without one are in families', () => {
  const many = Array.from({ length: 61 }, (_, index) => model(`m${index}`));
  expect(likelyOrder(MODELS)).toBe('group');
  expect(likelyOrder(many)).toBe('family');
  expect(likelyOrder([...many, model('x', { group: 'mine' })])).toBe('group');
});
