import { expect, test } from 'vitest';
import { ApiError, errorFrom, headline, sentence } from './errors';

test('the envelope gives message, code and findings', () => {
  const finding = { severity: 'error', message: 'found -4', path: 'models.b.ttl', way_out: '', line: 5 };
  const error = errorFrom(
    422,
    JSON.stringify({ error: { message: 'no', code: 'invalid_config', findings: [finding] } }),
  );
  expect([error.status, error.message, error.code, error.findings]).toEqual([422, 'no', 'invalid_config', [finding]]);
});

test.each([
  ['plain words', 'plain words'],
  ['', 'the server answered with status 502'],
  ['[1]', '[1]'],
  ['{"error":"old style"}', '{"error":"old style"}'],
])('a body without an envelope still gives a sentence: %s', (body, said) => {
  expect(errorFrom(502, body).message).toBe(said);
});

test('silence of the network is told from answers', () => {
  expect(new ApiError(0, 'gone').offline).toBe(true);
  expect(errorFrom(500, 'x').offline).toBe(false);
  expect(sentence('odd')).toBe('odd');
});

test('a headline is what happened, in a line', () => {
  const whole = "model 'a' failed: it needs 6.1 GiB. Give it less context. (status 1)\n  | out of memory";
  expect(headline(new Error(whole))).toBe("model 'a' failed: it needs 6.1 GiB");
  expect(headline(new Error('no such file: b.gguf'))).toBe('no such file: b.gguf');
});
