import { expect, test } from 'vitest';
import type { Model } from './api/types';
import { canChat, lacks, painters, speakers, transcribers } from './kinds';

const model = (id: string, kind: Model['kind'], takes: string[], gives: string[], state = 'stopped') =>
  ({ id, kind, state, capabilities: { in: takes, out: gives, reranker: false } }) as unknown as Model;

const chat = model('chat', 'chat', ['text'], ['text']);
const unknown = model('unknown', null, [], []);
const hearing = model('hearing', 'audio', ['text', 'audio'], ['text'], 'ready');
const whisper = model('whisper', 'audio', ['audio'], ['text']);
const voice = model('voice', 'audio', ['text'], ['audio']);
const sd = model('sd', 'image', ['text', 'image'], ['image']);
const all = [chat, unknown, hearing, whisper, voice, sd];
const ids = (models: Model[]) => models.map(({ id }) => id);

test('what a model can do is seen by what goes in and comes out', () => {
  expect(ids(all.filter(canChat))).toEqual(['chat', 'unknown', 'hearing']);
  expect(ids(speakers(all))).toEqual(['voice']);
  expect(ids(painters(all))).toEqual(['sd']);
  expect(ids(transcribers(all))).toEqual(['whisper', 'hearing']);
});

test('of a model that says nothing it is not known that it lacks something', () => {
  expect([chat, unknown, sd].map((each) => lacks(each, 'image'))).toEqual([true, false, false]);
});
