import { expect, test } from 'vitest';
import { Answer, StreamError, splitThinking } from './answer';

const delta = (more: object) => ({ choices: [{ delta: more }] });

test('text and reasoning are gathered apart', () => {
  const answer = new Answer(0);
  answer.take(delta({ role: 'assistant', content: null }), 1);
  answer.take(delta({ reasoning_content: 'hm' }), 2);
  answer.take(delta({ content: 'Hel' }), 3);
  answer.take(delta({ content: 'lo' }), 4);
  expect([answer.text, answer.reasoning]).toEqual(['Hello', 'hm']);
});

test('reasoning in think tags is not text, finished or not', () => {
  expect(splitThinking('<think>why')).toEqual({ reasoning: 'why', text: '' });
  expect(splitThinking('\n<think>\nwhy\n</think>\n\nbecause')).toEqual({ reasoning: 'why', text: 'because' });
  expect(splitThinking('a <think> tag')).toEqual({ reasoning: '', text: 'a <think> tag' });
});

test.each([
  ['in the middle', 'So:\n<think>\nwait\n</think>\n\nno.', 'wait', 'So:\n\nno.'],
  ['in the middle, not finished', 'So:\n<think>wa', 'wa', 'So:'],
  ['in a line', 'So <think>wait</think> no.', 'wait', 'So\n\nno.'],
  ['twice', '<think>a</think>b<think>c</think>d', 'a\n\nc', 'b\n\nd'],
  ['by another name', '<thinking>why</thinking>because', 'why', 'because'],
  ['after a space', ' <think>\nhm\n</think>\n\nThe answer is 4.', 'hm', 'The answer is 4.'],
  ['indented', 'So:\n    <think>hm</think>\nfour.', 'hm', 'So:\n\nfour.'],
  ['indented, the last one not finished', ' <think>a</think>b\n  <think>c', 'a\n\nc', 'b'],
  ['opened by the template', 'why\n</think>\n\nbecause', 'why', 'because'],
])('a thought is found %s', (_, said, reasoning, text) => {
  expect(splitThinking(said)).toEqual({ reasoning, text });
});

test.each([
  'Write `<think>` and `</think>` around it.',
  '```\n<think>\nshown\n</think>\n```\nend',
  '```xml\n<think>\nstill growing',
])('tags in code are shown, not thought: %s', (text) => {
  expect(splitThinking(text)).toEqual({ reasoning: '', text });
});

test('a thought may have code in it', () => {
  expect(splitThinking('<think>\n```\nx\n```\n</think>\ny')).toEqual({ reasoning: '```\nx\n```', text: 'y' });
});

test('what the server says of the load is no thought', () => {
  const answer = new Answer(0);
  answer.take({ ...delta({ reasoning_content: 'loading smollm2' }), system_fingerprint: 'claracore-loading' }, 1);
  answer.take({ ...delta({ reasoning_content: 'hm' }), system_fingerprint: 'b11434' }, 2);
  expect(answer.reasoning).toBe('hm');
});

test('figures come from the server where it tells them', () => {
  const answer = new Answer(1000);
  answer.take(delta({ content: 'a' }), 1500);
  answer.take(
    {
      choices: [],
      usage: { prompt_tokens: 12, completion_tokens: 30 },
      timings: { predicted_n: 31, predicted_per_second: 88.5 },
    },
    3000,
  );
  expect(answer.figures(3000)).toEqual({
    first_token_seconds: 0.5,
    total_seconds: 2,
    prompt_tokens: 12,
    completion_tokens: 31,
    tokens_per_second: 88.5,
    counted: false,
  });
});

test('and are measured where it does not', () => {
  const answer = new Answer(0);
  for (const at of [1000, 1500, 2000]) answer.take(delta({ content: 'x' }), at);
  expect(answer.figures(2000)).toMatchObject({
    completion_tokens: 3,
    tokens_per_second: 2,
    prompt_tokens: null,
    counted: true,
  });
});

test('nothing said gives no speed', () => {
  expect(new Answer(0).figures(10)).toMatchObject({
    first_token_seconds: null,
    completion_tokens: null,
    tokens_per_second: null,
  });
});

test('an error inside the stream is an error', () => {
  expect(() => new Answer(0).take({ error: { message: 'it died' } }, 1)).toThrow(new StreamError('it died'));
});

test('odd chunks are survived', () => {
  const answer = new Answer(0);
  for (const chunk of [null, 1, [], {}, { choices: [null] }, { choices: [{}] }, delta({ content: 5 })])
    answer.take(chunk, 1);
  expect(answer.text).toBe('');
});

test('an answer that goes on begins with what it had said, and tells when it was cut', () => {
  const answer = new Answer(0, { text: 'One,', reasoning: 'counting' });
  answer.take({ choices: [{ delta: { content: ' two' }, finish_reason: null }] }, 1);
  expect([answer.text, answer.reasoning, answer.cut]).toEqual(['One, two', 'counting', false]);
  answer.take({ choices: [{ delta: {}, finish_reason: 'length' }] }, 2);
  expect(answer.cut).toBe(true);
});
