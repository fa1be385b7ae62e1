import { expect, test } from 'vitest';
import { canChat } from '../kinds';
import { listedModels } from './listed';

test('a list of models gives those that a chat can ask, with what it says of them', () => {
  const models = listedModels([
    { id: 'plain' },
    {
      id: 'seer',
      name: 'The seer',
      status: { value: 'loaded' },
      meta: { n_ctx: 4096, llamaswap: { type: 'model', aliases: ['eye'] } },
      capabilities: { function_calling: true },
      architecture: { input_modalities: ['text', 'image'], output_modalities: ['text'] },
    },
    { id: 'eye', meta: { llamaswap: { type: 'alias' } } },
    { id: 'rank', capabilities: { reranker: true } },
  ]);
  expect(models.map(({ id }) => id)).toEqual(['plain', 'seer', 'rank']);
  expect(models.filter(canChat).map(({ id }) => id)).toEqual(['plain', 'seer']);
  expect(models[1]).toMatchObject({
    name: 'The seer',
    state: 'ready',
    aliases: ['eye'],
    capabilities: { in: ['text', 'image'], out: ['text'], tools: true, context: 4096 },
  });
  expect(models[0]!.state).toBe('stopped');
});
