import { describe, expect, it } from 'vitest';
import { model } from '../../testing/values';
import { factsOf, fileSize, memoryWords, parameters } from './facts';

const MIB = 2 ** 20;
const files = {
  size_bytes: 102e6,
  architecture: 'llama',
  family: 'SmolLM2',
  quantization: 'Q4_1',
  parameters: 134515008,
  parameters_active: 134515008,
  context: 2048,
  context_trained: 8192,
};

describe('numbers', () => {
  it('are as people write them', () => {
    expect([134515008, 8030261248, 235e9, 4200].map(parameters)).toEqual(['135M', '8.0B', '235B', '4K']);
    expect([4.68e9, 102e6, 82.5e6, 240e9].map(fileSize)).toEqual(['4.7 GB', '102 MB', '83 MB', '240 GB']);
  });
});

describe('facts', () => {
  it('are those of the file, and the context that is asked for', () => {
    const told = factsOf(model('a', { capabilities: { ...model('a').capabilities, context: 0 } }), files);
    expect(told.map(({ text }) => text)).toEqual(['135M', 'Q4_1', '102 MB', '2k context']);
  });
  it('tell how much of a mixture of experts works at once', () => {
    const told = factsOf(model('a'), { ...files, parameters: 30.5e9, parameters_active: 3.3e9 });
    expect(told[0]!.text).toBe('30.5B, 3.3B active');
  });
  it('are not made up', () => {
    expect(factsOf(model('a', { capabilities: { ...model('a').capabilities, context: 0 } }), undefined)).toEqual([]);
  });
});

describe('memory', () => {
  const memory = {
    devices: { ram: 300 * MIB },
    source: 'estimated' as const,
    expected: { ram: 300 * MIB },
    measured: null,
  };
  it('of one that never ran is what is estimated', () => {
    expect(memoryWords(model('a', { memory }))).toEqual({
      size: '300 MiB',
      note: 'estimated',
      more: 'estimated 300 MiB',
    });
  });
  it('of one that was measured is told beside what was estimated', () => {
    const known = { ...memory, devices: { ram: 320 * MIB }, source: 'measured' as const, measured: { ram: 320 * MIB } };
    expect(memoryWords(model('a', { memory: known }))).toMatchObject({ size: '320 MiB', note: 'estimated 300 MiB' });
  });
  it('of one of which nothing is known is what its process has, while there is one', () => {
    expect(memoryWords(model('a'))).toBeNull();
    expect(memoryWords(model('a', { state: 'ready', memory_bytes: 50 * MIB }))).toMatchObject({
      size: '50.0 MiB',
      note: 'in RAM',
    });
  });
});
