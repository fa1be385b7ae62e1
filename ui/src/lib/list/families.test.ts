import { expect, test } from 'vitest';
import { model } from '../../testing/values';
import { familyKey, familyOf } from './families';

test.each([
  ['qwen3-14b-q4_k_m', 'qwen3'],
  ['qwen2.5-coder-7b-instruct-q8_0', 'qwen2.5 coder'],
  ['mixtral-8x7b', 'mixtral'],
  ['box/gemma-3-e4b-it', 'gemma 3'],
  ['gpt-oss:20b', 'gpt oss'],
  ['70b', '70b'],
  ['-', '-'],
])('of %s it is %s', (id, family) => {
  expect(familyOf(model(id)) || '-').toBe(family);
});

test('a name is for people, and the file knows best', () => {
  expect(familyOf(model('x', { name: 'Qwen3 Coder 30B A3B' }))).toBe('Qwen3 Coder');
  expect(familyOf(model('my-own-7b'), { 'my-own-7b': { family: 'Qwen3-Coder' } })).toBe('Qwen3 Coder');
  expect(familyOf(model('my-own-7b'), { 'my-own-7b': { family: '' } })).toBe('my own');
});

test('writing does not part families', () => {
  expect(familyKey('Qwen2.5-Coder')).toBe(familyKey('qwen2.5 coder'));
  expect(familyKey('Gemma 3')).not.toBe(familyKey('Gemma 2'));
});
