import { expect, test } from 'vitest';
import {
  UNSET,
  countSet,
  emptyAnswer,
  pictured,
  requestBody,
  restoredParameters,
  unfinished,
  userMessage,
  wire,
} from './conversation';

test('only what was set is sent', () => {
  const body = requestBody('m', [userMessage('hi')], { ...UNSET, temperature: 0, stop: 'END\n\nSTOP' });
  expect(body).toEqual({
    model: 'm',
    messages: [{ role: 'user', content: 'hi' }],
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0,
    stop: ['END', 'STOP'],
  });
});

test('failed answers and reasoning are not sent back; a blank system prompt is none', () => {
  const answered = { ...emptyAnswer(), text: 'hello', reasoning: 'secret' };
  const failed = { ...emptyAnswer(), error: 'it died' };
  expect(wire([userMessage('a'), answered, userMessage('b'), failed], ' \n')).toEqual([
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'hello' },
    { role: 'user', content: 'b' },
  ]);
});

test('images are parts beside the text', () => {
  expect(
    wire([userMessage('what?', { parts: [pictured('data:image/png;base64,AA')], files: [] })], 'be short'),
  ).toEqual([
    { role: 'system', content: 'be short' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'what?' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
      ],
    },
  ]);
});

test('files are read before the question about them', () => {
  const files = [{ name: 'a.txt', kind: 'text', text: 'one', tokens: 1 }];
  expect(wire([userMessage('what?', { parts: [], files })], '')).toEqual([
    { role: 'user', content: '<file name="a.txt">\none\n</file>\n\nwhat?' },
  ]);
});

test('an answer that was stopped or cut can be gone on with, by a model that does not think first', () => {
  const stopped = { ...emptyAnswer(), text: 'One, two', stopped: true };
  const ends = [stopped, { ...stopped, stopped: false, cut: true }, { ...stopped, stopped: false, error: 'cut' }];
  expect(ends.map(unfinished)).toEqual([true, true, true]);
  const failed = { ...userMessage('One'), error: null };
  expect(unfinished(failed)).toBe(false);
  expect(unfinished({ ...stopped, text: '' })).toBe(false);
  const body = requestBody('m', [userMessage('count'), stopped], UNSET);
  expect(body).toMatchObject({ chat_template_kwargs: { enable_thinking: false } });
  expect(body.messages).toHaveLength(2);
});

test('what is stored is not trusted', () => {
  for (const odd of [null, 3, 'x', [], { temperature: 'hot', system: 5, unknown: 1 }])
    expect(restoredParameters(odd)).toEqual(UNSET);
  const good = restoredParameters({ temperature: 0.5, system: 'x', seed: null });
  expect(good).toEqual({ ...UNSET, temperature: 0.5, system: 'x' });
  expect(countSet(good)).toBe(2);
});
