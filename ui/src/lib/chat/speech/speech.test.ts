import { expect, test } from 'vitest';
import { firstVoice } from './speaker.svelte';
import { spoken } from './spoken';
import { heard } from './transcribe';

test('what is read aloud has no signs of Markdown and no code', () => {
  const said = spoken(
    '# Title\n\nSome **bold**, *soft* and `code` with a [link](https://x).\n\n```py\nprint(1)\n```\n\n- one\n- [x] two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n2 * 3 * 4',
  );
  expect(said).toContain('Title\n\nSome bold, soft and code with a link.');
  expect(said).toContain('one\ntwo');
  expect(said).toContain('2 * 3 * 4');
  expect(said).not.toMatch(/print|---|\||https/);
  expect(spoken('```\nonly code\n```')).toBe('');
});

test('what was heard comes as JSON or as it is', () => {
  expect(heard('{"text": " Hello there. "}')).toBe('Hello there.');
  expect(heard('Hello there.\n')).toBe('Hello there.');
  for (const none of ['', '{"task": 1}', '<html></html>']) expect(() => heard(none)).toThrow('has no text');
});

test('the first voice is found in the shapes that servers have', () => {
  expect(firstVoice({ voices: ['af_heart', 'b'] })).toBe('af_heart');
  expect(firstVoice({ data: [{ id: 'alloy' }] })).toBe('alloy');
  expect(firstVoice([{ name: 'x' }])).toBe('x');
  for (const none of [null, {}, { voices: [] }, 5]) expect(firstVoice(none)).toBe('');
});
