import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import { type Choice, activeIn, shelves } from './offers';

const MODELS = [
  model('gemma-3-4b'),
  model('phi-4', { state: 'starting' }),
  model('qwen3-14b'),
  model('qwen3-8b', { name: 'Qwen3 8B' }),
  model('smollm2', { state: 'ready' }),
];
const ALL: Choice = { value: '', title: 'All models', model: null };
const told = (wanted = '', favourites: string[] = [], others: Choice[] = []) =>
  shelves(MODELS, others, { wanted, favourites: new Set(favourites) }).map(
    ({ title, choices }) => `${title}: ${choices.map((each) => each.value).join(' ')}`,
  );

test('what runs is first, then favourites, then families', () => {
  expect(told('', ['gemma-3-4b'])).toEqual([
    'Loaded: phi-4 smollm2',
    'Favourites: gemma-3-4b',
    'qwen3: qwen3-14b qwen3-8b',
  ]);
  expect(told()).toEqual(['Loaded: phi-4 smollm2', 'qwen3: qwen3-14b qwen3-8b', 'Other families: gemma-3-4b']);
});

test('words are looked for in names and ids, and what is beside the models is found too', () => {
  expect(told('qwen 8b', [], [ALL])).toEqual(['Loaded when asked: qwen3-8b']);
  expect(told('all MOD', [], [ALL])).toEqual([': ']);
  expect(told('', ['smollm2'], [ALL])[0]).toBe(': ');
  expect(told('nothing like it', ['smollm2'], [ALL])).toEqual([]);
});

test('Enter takes what was moved to, else what is called exactly so, else the first', () => {
  const choices = shelves(MODELS, [], { wanted: '', favourites: new Set() }).flatMap((shelf) => shelf.choices);
  expect(activeIn(choices, 'gemma-3-4b', 'smollm2')?.value).toBe('gemma-3-4b');
  expect(activeIn(choices, null, ' qwen3 8b')?.value).toBe('qwen3-8b');
  expect(activeIn(choices, 'gone', 'q')?.value).toBe('phi-4');
  expect(activeIn([], null, '')).toBeUndefined();
});

test('what is beside the models is found by its value too', () => {
  expect(told('prox', [], [{ value: 'proxy', title: 'ClaraCore', model: null }])).toEqual([': proxy']);
});
