import { expect, test } from 'vitest';
import type { Prospect, Variant } from '../api/types';
import { parameters, short, sizeMark, variantMark } from './marks';

const variant: Variant = {
  ref: 'a/b/c.gguf',
  label: 'Q4_K_M',
  quantization: 'Q4_K_M',
  file: 'c.gguf',
  shards: 1,
  missing: 0,
  bytes: 1,
  fit: 'memory',
  chosen: true,
};
const prospect: Prospect = { path: 'c.gguf', fits: true, words: 'fits in RAM', context: 16384, writing: 42.4 };

test('a size says whether it fits, and how fast where that is known', () => {
  expect(sizeMark('gpu', null)).toEqual({ words: 'fits the GPU', colour: 'ok' });
  expect(sizeMark('memory', 42.4)).toEqual({ words: 'fits: 42 tokens/s expected', colour: 'ok' });
  expect(sizeMark('memory', 3.14)).toEqual({ words: 'fits, but slow: 3.1 tokens/s expected', colour: 'warn' });
  expect(sizeMark('nowhere', null)).toEqual({ words: 'too large', colour: 'bad' });
});

test('a plan says more than a size', () => {
  expect(variantMark(variant, undefined).words).toBe('fits memory');
  expect(variantMark(variant, prospect).words).toBe('fits: 42 tokens/s expected · 16k context');
  expect(variantMark(variant, { ...prospect, fits: false })).toEqual({ words: 'too large', colour: 'bad' });
  expect(variantMark(variant, { ...prospect, writing: null }).words).toBe('fits in RAM');
  expect(variantMark({ ...variant, missing: 1 }, prospect).words).toBe('incomplete');
});

test('large numbers are short', () => {
  expect([134_515_008, 999_885_952, 4_022_468_096, 30_532_122_624, null].map(parameters)).toEqual([
    '135M',
    '1.0B',
    '4.0B',
    '31B',
    '',
  ]);
  expect([7, 999, 12_345, 1_234_567].map(short)).toEqual(['7', '999', '12k', '1.2M']);
});
