import { expect, test } from 'vitest';
import { ApiError, errorFrom } from '../../api/errors';
import type { Model } from '../../api/types';
import { emptyAnswer, userMessage, wire } from '../conversation';
import { type Attachment, attachmentsOf, carried, filled } from './attached';
import { contentOf, dropContents, keepContent, namesIn, storedContent } from './bulk';
import { decoded, kindOfFile } from './files';
import { pagesText } from './pages';
import { fitted, hasExif, pictureTokens } from './pictures';
import { wavOf } from './sound';
import {
  beforeFirst,
  conversationTokens,
  estimated,
  inWords,
  promptKey,
  roomier,
  sum,
  textTokens,
  tooLong,
  waysOut,
} from './tokens';
import { onlyPictures } from './reading';
import { explainedLength } from './too_long';

const nothing = () => undefined;
const file = (name: string, type = '') => kindOfFile({ name, type });

test('the kind of a file is its type, else its ending, else text', () => {
  expect(file('a.bin', 'image/png')).toBe('image');
  expect(file('a.svg', 'image/svg+xml')).toBe('text');
  expect(file('photo.HEIC')).toBe('image');
  expect(file('a.pdf')).toBe('pdf');
  expect(file('song.m4a')).toBe('sound');
  expect(file('a.ts', 'video/mp2t')).toBe('text');
  expect(file('Makefile')).toBe('text');
});

test('texts are read in the encodings that are about, and what is none is said to be none', () => {
  expect(decoded(new TextEncoder().encode('Grüße 世界'))).toBe('Grüße 世界');
  expect(decoded(new Uint8Array([0xff, 0xfe, 0x41, 0, 0xe9, 0]))).toBe('Aé');
  expect(decoded(new Uint8Array([0xfe, 0xff, 0, 0x41]))).toBe('A');
  expect(decoded(new Uint8Array([0x47, 0x72, 0xfc, 0xdf, 0x65]))).toBe('Grüße');
  expect(decoded(new Uint8Array([0x50, 0x4b, 3, 4, 0, 0]))).toBeNull();
  expect(decoded(new Uint8Array([1, 2, 0xff, 0xfc]))).toBeNull();
});

test('pictures shrink into the square and never grow; photos that say which side is up are drawn anew', () => {
  expect(fitted(3072, 1536)).toEqual({ width: 1536, height: 768 });
  expect(fitted(100, 50)).toEqual({ width: 100, height: 50 });
  expect(fitted(9000, 1)).toEqual({ width: 1536, height: 1 });
  expect(hasExif(new TextEncoder().encode('\xff\xd8..Exif\0\0II'))).toBe(true);
  expect(hasExif(new TextEncoder().encode('JFIF'))).toBe(false);
  expect(pictureTokens(1536, 1024)).toBe(55 * 37);
});

test('texts stand before the question under their names, pictures and sound beside it', async () => {
  const attached: Attachment[] = [
    { kind: 'text', name: 'a.txt', at: keepContent('one'), tokens: 1 },
    { kind: 'image', name: 'b.png', at: 'data:image/png;base64,AA', tokens: 1 },
    { kind: 'sound', name: 'c', at: keepContent('data:audio/wav;base64,BB'), tokens: 1 },
    { kind: 'sound', name: 'd', at: keepContent('data:audio/mpeg;base64,CC'), tokens: 1 },
  ];
  const message = userMessage('what?', carried(attached));
  expect(JSON.stringify(message)).not.toContain('BB');
  const whole = await filled([message, userMessage('hi')]);
  const [sent, plain] = wire(whole, '');
  expect(sent!.content).toEqual([
    { type: 'text', text: expect.stringMatching(/a\.txt[^]*one[^]*what\?$/) as unknown },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
    { type: 'input_audio', input_audio: { data: 'BB', format: 'wav' } },
    { type: 'input_audio', input_audio: { data: 'CC', format: 'mp3' } },
  ]);
  expect(plain!.content).toBe('hi');
  expect(attachmentsOf(message).map(({ kind, at }) => [kind, at])).toEqual(
    [attached[1], attached[2], attached[3], attached[0]].map((each) => [each!.kind, each!.at]),
  );
  expect(attachmentsOf(whole[0]!).map(({ at }) => at)).toEqual([
    'data:image/png;base64,AA',
    'data:audio/wav;base64,BB',
    'data:audio/mpeg;base64,CC',
    'one',
  ]);
});

test('what is gone is said and the rest is sent', async () => {
  const gone: Attachment[] = [
    { kind: 'image', name: 'b.png', at: 'kept:gone', tokens: 1 },
    { kind: 'text', name: 'a.txt', at: 'kept:gone2', tokens: 1 },
  ];
  const [whole] = await filled([userMessage('what?', carried(gone))]);
  expect(whole).toMatchObject({ text: '(an attachment is no longer there)\n\nwhat?', parts: [] });
  expect(whole!.files[0]!.text).toBe('(it is no longer there)');
});

test('contents are kept by name', async () => {
  const name = keepContent('Grüße, 100 %');
  expect(await contentOf(name)).toBe('Grüße, 100 %');
  expect(await contentOf('a text of an imported file')).toBe('a text of an imported file');
  expect(await contentOf('kept:gone')).toBeNull();
  expect(namesIn([JSON.stringify({ deep: [{ at: name }] }), 'kept:b2'])).toEqual(new Set([name, 'kept:b2']));
});

test('without a database a content lives as long as the page, which is said, or until it is dropped', async () => {
  const { name, written } = storedContent('one');
  expect([await written, await contentOf(name)]).toEqual([false, 'one']);
  await dropContents([name]);
  expect(await contentOf(name)).toBeNull();
});

test('pages are numbered where there are several, and pictures of pages are no text', () => {
  expect(pagesText(['one  \n'])).toBe('one');
  expect(pagesText(['one', ' \n', 'three'])).toBe('[Page 1]\none\n\n[Page 2]\n\n\n[Page 3]\nthree');
  expect(pagesText([' ', '\n'])).toBe('');
  expect(onlyPictures(1)).toBe('its page is a picture. Attach it as a picture');
  expect(onlyPictures(2)).toBe('its 2 pages are pictures. Attach them as pictures');
});

test('a WAV says what is in it', async () => {
  const bytes = new DataView(await wavOf(Float32Array.from([0, 1, -1, 2]), 8000).arrayBuffer());
  expect(bytes.byteLength).toBe(44 + 8);
  expect(bytes.getUint32(24, true)).toBe(8000);
  expect([44, 46, 48, 50].map((at) => bytes.getInt16(at, true))).toEqual([0, 32767, -32767, 32767]);
});

test('tokens are estimated by script, and counted ones are exact', () => {
  expect(estimated('twelve chars')).toBe(3);
  expect(estimated('世界')).toBe(2);
  expect(textTokens('abcd', nothing)).toEqual({ tokens: 1, exact: false });
  expect(textTokens('abcd', () => 4)).toEqual({ tokens: 4, exact: true });
  expect(textTokens('', nothing)).toEqual({ tokens: 0, exact: true });
  expect(
    sum([
      { tokens: 1, exact: true },
      { tokens: 2, exact: false },
    ]),
  ).toEqual({ tokens: 3, exact: false });
  expect(inWords({ tokens: 1234, exact: true })).toBe('1,234');
  expect(inWords({ tokens: 1234, exact: false })).toBe('about 1,200');
  expect(inWords({ tokens: 7, exact: false })).toBe('about 7');
});

test('a conversation has what its last answer counted, and about what came after', () => {
  const figures = { prompt_tokens: 100, completion_tokens: 20 } as never;
  const answered = [userMessage('a'), { ...emptyAnswer(null, 'm'), text: 'b', figures }];
  expect(conversationTokens(answered, 'ignored: counted', 'm', nothing)).toEqual({ tokens: 120, exact: true });
  expect(conversationTokens([...answered, userMessage('abcd')], '', 'm', nothing)).toEqual({
    tokens: 126,
    exact: false,
  });
  expect(conversationTokens(answered, '', 'another', nothing)).toEqual({ tokens: 120, exact: false });
  expect(conversationTokens([], 'be brief', 'm', () => 2)).toEqual({ tokens: 2, exact: true });
  expect(beforeFirst(32, { tokens: 2, exact: true })).toEqual({ tokens: 30, exact: true });
  expect(promptKey(' be ', 'a', [{ at: 'kept:1' }])).toBe('prompt\0be\0a\0kept:1');
});

test('who is too long hears by how much, and who has room: the smallest first', () => {
  const model = (id: string, context: number) => ({ id, capabilities: { context } }) as Model;
  const models = [model('huge', 9000), model('small', 100), model('large', 5000), model('giant', 90000)];
  expect(roomier(models, 4000, 'small').map(({ id }) => id)).toEqual(['large', 'huge']);
  expect(tooLong({ tokens: 312, exact: true }, 'gemma', 2048)).toBe(
    'Too long by 312 tokens: gemma takes 2,048. It would be refused.',
  );
  expect(tooLong({ tokens: 312, exact: false }, 'gemma', 2048)).toMatch(
    /^Too long by about 310 .* It may be refused\.$/,
  );
});

test('the ways out are those that there are', () => {
  expect(waysOut(false, false)).toBe('Shorten it.');
  expect(waysOut(true, false)).toBe('Shorten it, or choose a model with more context.');
  expect(waysOut(true, true)).toBe('Shorten it, choose a model with more context, or begin a new conversation.');
});

test("engines' words for too long a prompt become ours", () => {
  const llama = errorFrom(
    400,
    JSON.stringify({
      error: {
        code: 400,
        message: 'request (2315 tokens) exceeds the available context size (2048 tokens), try increasing it',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 2315,
        n_ctx: 2048,
      },
    }),
  );
  const said =
    'The conversation is too long: it has 2,315 tokens, and m takes 2,048. Shorten it, choose a model with more context, or begin a new conversation.';
  expect(explainedLength(llama, 'm')).toBe(said);
  const vllm =
    "This model's maximum context length is 2048 tokens. However, you requested 2315 tokens in the messages, Please reduce the length of the messages.";
  expect(explainedLength(new ApiError(400, vllm), 'm')).toBe(said);
  expect(explainedLength(new ApiError(400, 'context size has been exceeded'), 'm')).toContain('too long for m.');
  expect(explainedLength(new ApiError(400, 'no such field'), 'm')).toBeNull();
  expect(explainedLength(new Error('maximum context length is 5'), 'm')).toBeNull();
});
