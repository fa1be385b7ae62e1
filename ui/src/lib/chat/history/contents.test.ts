import { expect, test } from 'vitest';
import { userMessage } from '../conversation';
import { newThread } from '../thread';
import { complete, stowed } from './contents';

const picture = 'data:image/png;base64,AA';
const question = userMessage('What?', {
  parts: [
    { type: 'image_url', image_url: { url: picture } },
    { type: 'input_audio', input_audio: { data: 'BB', format: 'mp3' } },
  ],
  files: [{ name: 'a.txt', kind: 'text', text: 'one', tokens: 1 }],
});
const thread = { ...newThread('m'), messages: [question], leaf: question.id };

test('attachments come in apart from the words, and leave with them', async () => {
  const [kept] = stowed([thread], () => undefined);
  expect(JSON.stringify(kept)).not.toContain(picture);
  expect(kept!.messages[0]!.files[0]!.text).toMatch(/^kept:/);
  expect(await complete([kept!])).toEqual([thread]);
});

test('what is there already is not kept twice', () => {
  const [kept] = stowed([thread], () => undefined);
  expect(stowed([thread], () => kept)).toEqual([kept]);
});
