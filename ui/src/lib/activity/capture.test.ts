import { expect, test } from 'vitest';
import type { Capture } from '../api/types';
import { chat, curl, textOf } from './capture';

const request = JSON.stringify({
  messages: [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, { type: 'image_url' }] }],
});

test('a chat is read whole and in pieces, as both write it', () => {
  const user = { who: 'user', text: 'What is it?\n[image_url]' };
  const whole = JSON.stringify({ choices: [{ message: { content: 'A cat' } }] });
  expect(chat(request, whole)).toEqual([user, { who: 'assistant', text: 'A cat' }]);
  const pieces = ['A', ' cat'].map((content) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
  expect(chat(request, `${pieces.join('')}data: [DONE]\n\n`)).toEqual([user, { who: 'assistant', text: 'A cat' }]);
  expect(chat(request, 'data: {"delta": {"text": "Miau"}}\n\n').at(-1)?.text).toBe('Miau');
  expect(chat('{"input": "x"}', '')).toEqual([]);
  expect(chat('{"messages": [nu', '')).toEqual([]);
});

test('it is asked again without what must stay secret', () => {
  const capture = {
    method: 'POST',
    req_path: '/v1/chat/completions',
    req_headers: {
      host: 'h',
      authorization: '[REDACTED]',
      'x-api-key': '[REDACTED]',
      'content-type': 'application/json',
    },
    req_body: btoa(`{"a": "it's"}`),
  } as unknown as Capture;
  expect(curl(capture, 'http://h')).toBe(
    `curl -X POST 'http://h/v1/chat/completions' \\
  -H "authorization: Bearer $CLARACORE_API_KEY" \\
  -H "x-api-key: $CLARACORE_API_KEY" \\
  -H 'content-type: application/json' \\
  --data-raw '{"a": "it'\\''s"}'`,
  );
  const browsers = {
    accept: '*/*',
    'accept-language': 'de',
    cookie: 'session=1',
    'sec-ch-ua': 'x',
    'sec-fetch-mode': 'cors',
    'user-agent': 'Mozilla',
    origin: 'http://h',
    referer: 'http://h/ui',
    'x-session-key': 'mine',
    'x-client': 'editor',
  };
  const asked = { ...capture, method: 'GET', req_path: "/v1/models?q=it's&api_key=sk-1&b=2", req_body: '' };
  expect(curl({ ...asked, req_headers: browsers }, 'http://h')).toBe(
    `curl -X GET 'http://h/v1/models?q=it'\\''s&api_key='"$CLARACORE_API_KEY"'&b=2' \\
  -H "x-session-key: $CLARACORE_API_KEY" \\
  -H 'x-client: editor'`,
  );
  expect(textOf(btoa('\xc3\xa4'))).toBe('ä');
});
