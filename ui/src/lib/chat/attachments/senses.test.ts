import { expect, test } from 'vitest';
import type { Model } from '../../api/types';
import { pictured, userMessage } from '../conversation';
import { leftOut, understood } from './senses';

const model = (...takes: string[]) => ({ id: 'm', name: '', capabilities: { in: takes, out: [] } }) as unknown as Model;
const sound = { type: 'input_audio' as const, input_audio: { data: 'AA', format: 'wav' } };
const said = [userMessage('look', { parts: [pictured('data:,x'), sound], files: [] }), userMessage('and now')];

test('what a model does not take is named in words, and told', () => {
  const [first, second] = understood(said, model('text', 'audio'));
  expect(first).toMatchObject({ text: '[a picture]\nlook', parts: [sound] });
  expect(second).toBe(said[1]);
  expect(understood(said, model('text'))[0]).toMatchObject({ text: '[a picture]\n[a sound]\nlook', parts: [] });
  expect(leftOut(said, model('text'))).toBe('m does not see the pictures or hear the sounds of this conversation.');
});

test('a model that takes it, or of which nothing is known, gets everything', () => {
  for (const each of [model('text', 'image', 'audio'), model(), undefined]) {
    expect(understood(said, each)).toEqual(said);
    expect(leftOut(said, each)).toBe('');
  }
});
