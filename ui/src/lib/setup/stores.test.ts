import { expect, test } from 'vitest';
import type { Stores } from '../api/types';
import { names, offer, silence, type Store, worthOffering } from './stores';

const GIB = 1024 ** 3;
const store = (name: string, models: number, configured = 0): Store => ({
  store: name,
  path: `/home/x/${name}`,
  models,
  configured,
  bytes: models * GIB,
});
const found = (...stores: Store[]): Stores => ({
  found: stores,
  models: stores.reduce((sum, each) => sum + each.models, 0),
  configured: stores.reduce((sum, each) => sum + each.configured, 0),
  bytes: stores.reduce((sum, each) => sum + each.bytes, 0),
  unusable: [],
  left_out: [],
});

test('who keeps models, in words', () => {
  expect(names([])).toBe('');
  expect(names([store('Ollama', 1)])).toBe('Ollama');
  expect(names([store('LM Studio', 1), store('LM Studio', 2), store('Ollama', 1)])).toBe('LM Studio and Ollama');
  expect(names([store('LM Studio', 1), store('Jan', 2), store('Ollama', 1)])).toBe('LM Studio, Jan and Ollama');
});

test('what is found is offered in one line', () => {
  expect(offer(found(store('LM Studio', 9), store('Ollama', 5)))).toBe(
    'Found 14 models in LM Studio and Ollama (14.0 GiB)',
  );
  expect(offer(found(store('Ollama', 1)))).toBe('Found 1 model in Ollama (1.0 GiB)');
});

test('what is configured is not offered again', () => {
  const some = found(store('LM Studio', 9, 9), store('Ollama', 5, 4));
  expect(worthOffering(some).map((each) => each.store)).toEqual(['Ollama']);
  expect(offer(some)).toBe('Found 1 more model in Ollama');
  expect(worthOffering(found(store('Ollama', 5, 5)))).toEqual([]);
  expect(worthOffering(null)).toEqual([]);
});

test('why nothing is offered', () => {
  expect(silence(null, false)).toMatch('Looking');
  expect(silence(null, true)).toMatch('could not');
  expect(silence(found(), false)).toMatch('None were found');
  expect(silence(found(store('Ollama', 5, 5)), false)).toMatch('all in the configuration');
});
