import { expect, test } from 'vitest';
import { fileName, paintingBody, pictures } from './paint';

const WISH = { model: 'm', prompt: 'a cat', size: '', count: 1, seed: null };

test('only what was chosen is asked for', () => {
  expect(paintingBody(WISH)).toEqual({ model: 'm', prompt: 'a cat', n: 1, response_format: 'b64_json' });
  expect(paintingBody({ ...WISH, size: '512x512', count: 2, seed: 0 })).toMatchObject({
    n: 2,
    size: '512x512',
    seed: 0,
  });
});

test('pictures are known by their first bytes; an answer without one is an error', () => {
  expect(pictures({ data: [{ b64_json: '/9j/AA' }, { b64_json: 'iVBOR' }, { url: 'https://x/y.png' }] })).toEqual([
    { url: 'data:image/jpeg;base64,/9j/AA', ending: 'jpg' },
    { url: 'data:image/png;base64,iVBOR', ending: 'png' },
    { url: 'https://x/y.png', ending: 'png' },
  ]);
  for (const none of [null, {}, { data: [] }, { data: [{ url: 'javascript:x' }] }])
    expect(() => pictures(none)).toThrow('no picture');
});

test('a file is named for what was wished', () => {
  expect(fileName('A lighthouse, in the fog: watercolour please', 0, 'png')).toBe(
    'a-lighthouse-in-the-fog-watercolour-1.png',
  );
  expect(fileName('!!!', 1, 'jpg')).toBe('picture-2.jpg');
});
