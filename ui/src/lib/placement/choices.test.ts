import { expect, test } from 'vitest';
import type { PlacementChoice } from '../api/types';
import { device, marked, takes, writtenWords } from './choices';

const choice = (context: number, devices: PlacementChoice['devices'] = []): PlacementChoice => ({
  title: `${context}`,
  words: '',
  recommended: false,
  verdict: 'fits on the GPU',
  reason: '',
  context_reason: '',
  context,
  cache_type: 'f16',
  times_slower: 1,
  devices,
  settings: { context, cache_type: 'f16', gpu_layers: 33, cpu_experts: 0, split: [], micro_batch: 512 },
  flags: [],
});

test('devices that a choice does not use are not named', () => {
  const devices = [
    { device: 'gpu0', bytes: 14.5 * 1024 ** 3, of_bytes: 23 * 1024 ** 3 },
    { device: 'gpu1', bytes: 0, of_bytes: 23 * 1024 ** 3 },
    { device: 'ram', bytes: 680 * 1024 ** 2, of_bytes: 64 * 1024 ** 3 },
  ];
  expect(takes(choice(4096, devices))).toBe('GPU 0 14.5 GiB, RAM 680 MiB');
  expect(device('unified')).toBe('shared memory');
});

test('what was picked is marked before what is in force', () => {
  const all = [choice(4096), choice(8192)];
  expect(marked(all, 0, undefined)).toBe(0);
  expect(marked(all, null, undefined)).toBe(-1);
  expect(marked(all, 0, { ...choice(8192).settings })).toBe(1);
  expect(marked(all, 0, { ...choice(512).settings })).toBe(-1);
});

test('a model that runs starts anew', () => {
  expect(writtenWords('qwen', '32k on one card', true)).toBe('qwen: 32k on one card; it starts anew with it');
  expect(writtenWords('qwen', '32k on one card', false)).toBe('qwen: 32k on one card, from the next load on');
});
