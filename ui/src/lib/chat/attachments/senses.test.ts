import { expect, test } from 'vitest';
import { model } from '../../../testing/values';
import { pictured, userMessage, wire } from '../conversation';
import { leftOut, leftOutWords, within } from './senses';

const SOUND = { type: 'input_audio' as const, input_audio: { data: 'AAAA', format: 'wav' } };
const asked = [
  userMessage('what is it?', { parts: [pictured('data:image/png;base64,AA'), SOUND], files: [] }),
  userMessage('and now?'),
];
const reads = model('reads');
const sees = model('sees', { capabilities: { ...reads.capabilities, in: ['text', 'image'] } });
const silent = model('silent', { capabilities: { ...reads.capabilities, in: [] } });

test('what a model does not take in is left out, and it is told that there was something', () => {
  expect(wire(within(asked, reads), '').map(({ content }) => content)).toEqual([
    '[a picture that you cannot see]\n[a sound that you cannot hear]\nwhat is it?',
    'and now?',
  ]);
  expect(within(asked, sees)[0]!.parts).toEqual([asked[0]!.parts[0]]);
  expect(within(asked, sees)[0]!.text).toBe('[a sound that you cannot hear]\nwhat is it?');
});

test('what a model says nothing of, and what no model is known of, is sent', () => {
  expect(within(asked, silent)).toEqual(asked);
  expect(within(asked, undefined)).toEqual(asked);
});

test('how much is left out is said', () => {
  expect([leftOut(asked, reads, 'image'), leftOut(asked, sees, 'image'), leftOut(asked, sees, 'audio')]).toEqual([
    1, 0, 1,
  ]);
  expect(leftOutWords(1, 'image')).toBe('The picture of this conversation is left out of what it is asked.');
  expect(leftOutWords(2, 'audio')).toBe('The 2 sounds of this conversation are left out of what it is asked.');
});
