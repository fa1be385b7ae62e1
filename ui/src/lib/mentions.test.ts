import { expect, test } from 'vitest';
import { mentions } from './mentions';

test('ids are found as whole words, whatever is around them', () => {
  const ids = new Set(['gemma', 'org/qwen3:8b']);
  const named = (text: string) => mentions(text, ids).map(({ text: each, model }) => (model ? `<${each}>` : each));
  expect(named('model gemma: starting')).toEqual(['model ', '<gemma>', ': starting']);
  expect(named('"org/qwen3:8b", (gemma)')).toEqual(['"', '<org/qwen3:8b>', '", (', '<gemma>', ')']);
  expect(named('gemma-2 is another')).toEqual(['gemma-2 is another']);
});
