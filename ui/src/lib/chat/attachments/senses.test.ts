import { expect, test } from 'vitest';
import { model } from '../../../testing/values';
import { pictured, userMessage, wire } from '../conversation';
import { perceived, speaksTo } from './senses';

const sound = { type: 'input_audio', input_audio: { data: 'AA', format: 'wav' } } as const;
const shown = userMessage('what is it?', { parts: [pictured('data:image/png;base64,AA'), sound], files: [] });
const able = (...senses: string[]) =>
  model('m', { capabilities: { in: senses, out: ['text'], tools: false, reranker: false, context: 0 } });

test('what a model does not take in is left out of what is sent, and named', () => {
  expect(wire(perceived([shown, userMessage('and now?')], able('text')), '')).toEqual([
    {
      role: 'user',
      content: '[a picture, which you cannot see]\n\n[a sound, which you cannot hear]\n\nwhat is it?',
    },
    { role: 'user', content: 'and now?' },
  ]);
  const [heard] = perceived([shown], able('text', 'audio'));
  expect([heard!.parts, heard!.text]).toEqual([[sound], '[a picture, which you cannot see]\n\nwhat is it?']);
  expect(shown.parts).toHaveLength(2);
});

test('whoever takes it in, or says nothing of itself, gets all', () => {
  for (const each of [able('text', 'image', 'audio'), able(), undefined])
    expect(perceived([shown], each)).toEqual([shown]);
});

test('it is known what a conversation has for a sense', () => {
  expect([speaksTo([shown], 'image'), speaksTo([userMessage('a')], 'image')]).toEqual([true, false]);
});
