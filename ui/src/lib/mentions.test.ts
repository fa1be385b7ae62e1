import { expect, test } from 'vitest';
import { mentions } from './mentions';

const ids = new Set(['gemma', 'org/qwen3:8b', 'server', 'the', 'model']);
const named = (text: string) =>
  mentions(text, ids)
    .map(({ text: each, model }) => (model ? `<${each}>` : each))
    .join('');

test.each([
  'model <gemma>: ready after 1.2 s, at 127.0.0.1:5800',
  'model <org/qwen3:8b>: starting',
  'model <server>: the server ended',
  'model <model>: starting',
  'preload of <gemma> failed: model \'<the>\' is not known; did you mean "<org/qwen3:8b>"?',
  'preload of <gemma> left out: it does not fit beside <server>, <org/qwen3:8b>',
  'model <gemma>: why; a request moves on to <org/qwen3:8b>',
  'found in the models folder: <the>, other, gemma',
  'POST /v1/chat/completions model=<gemma> status=200',
  'also of this kind: `<gemma>`.',
])('%s', (line) => {
  expect(named(line.replace(/[<>]/g, ''))).toBe(line);
});

test.each([
  'ended a model server that a dead ClaraCore left behind',
  'the server is the one',
  'gemma-2 is another, and gemma is a gem',
  "it's the model's own server, isn't it",
  'preload of the model',
])('nothing is named in: %s', (line) => {
  expect(mentions(line, ids)).toEqual([{ text: line, model: '' }]);
});

test('without models there is nothing to look for', () => {
  expect(mentions('', ids)).toEqual([]);
  expect(mentions('model gemma: x', new Set())).toEqual([{ text: 'model gemma: x', model: '' }]);
});
