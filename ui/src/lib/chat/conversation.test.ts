import { expect, test } from 'vitest';
import { UNSET, countSet, emptyAnswer, requestBody, restoredParameters, userMessage, wire } from './conversation';

const NOTHING = new Map<string, string>();

test('only what was set is sent', () => {
  const body = requestBody('m', [userMessage('hi')], { ...UNSET, temperature: 0, stop: 'END\n\nSTOP' }, NOTHING);
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
  expect(wire([userMessage('a'), answered, userMessage('b'), failed], ' \n', NOTHING)).toEqual([
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'hello' },
    { role: 'user', content: 'b' },
  ]);
});

test('what is attached is sent with its message', () => {
  const picture = { kind: 'image' as const, name: 'a.png', at: 'kept:1', tokens: 0 };
  const contents = new Map([['kept:1', 'data:image/png;base64,AA']]);
  expect(wire([userMessage('what?', [picture])], 'be short', contents)).toEqual([
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

test('what is stored is not trusted', () => {
  for (const odd of [null, 3, 'x', [], { temperature: 'hot', system: 5, unknown: 1 }])
    expect(restoredParameters(odd)).toEqual(UNSET);
  const good = restoredParameters({ temperature: 0.5, system: 'x', seed: null });
  expect(good).toEqual({ ...UNSET, temperature: 0.5, system: 'x' });
  expect(countSet(good)).toBe(2);
});
