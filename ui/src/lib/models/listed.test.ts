import { expect, test } from 'vitest';
import { canChat, lacks } from '../kinds';
import { listedModels } from './listed';

test('what may be called is known by name and by what it takes, an alias once', () => {
  const [seer, plain, ...more] = listedModels([
    {
      id: 'seer',
      name: 'The seer',
      architecture: { input_modalities: ['text', 'image'], output_modalities: ['text'] },
    },
    { id: 'plain', aliases: ['other'], context_length: 2048 },
    { id: 'other', modelID: 'plain' },
  ]);
  expect(more).toEqual([]);
  expect([seer!.name, lacks(seer!, 'image'), lacks(seer!, 'audio')]).toEqual(['The seer', false, true]);
  expect([plain!.aliases, plain!.capabilities.context, canChat(plain!), plain!.state]).toEqual([
    ['other'],
    2048,
    true,
    'stopped',
  ]);
});
