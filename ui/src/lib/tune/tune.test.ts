import { expect, test } from 'vitest';
import { conclusion, difference, isBetter, note, tuneLines, type TuneLine, type TuneResult } from './tune';

const BEFORE = { reading: 100, writing: 10, answer_seconds: 35 };
const AFTER = { reading: 200, writing: 12.5, answer_seconds: 25 };
const result = (more: Partial<TuneResult> = {}): TuneResult => ({
  what: 'result',
  settings: { threads: 2 },
  words: '2 threads',
  before: BEFORE,
  after: AFTER,
  saves: 0.2857,
  trials: 4,
  complete: true,
  failure: '',
  ...more,
});

test('lines come whole, however they are cut', async () => {
  const text = '{"what":"note","message":"ä"}\n{"what":"trying","number":1,"settings":{},"words":"as configured"}\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 1000]) {
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const found: TuneLine[] = [];
    for await (const line of tuneLines(new Response(body))) found.push(line);
    expect(found.map(({ what }) => what)).toEqual(['note', 'trying']);
    expect(found[0]).toMatchObject({ message: 'ä' });
  }
});

test('each is held against the first', () => {
  expect(difference(AFTER, BEFORE)).toBe('−29 %');
  expect(difference({ ...AFTER, answer_seconds: 70 }, BEFORE)).toBe('+100 %');
  expect(difference({ ...AFTER, answer_seconds: 35.1 }, BEFORE)).toBe('±0 %');
  expect(difference(BEFORE, BEFORE)).toBe('');
  expect(difference({ ...AFTER, answer_seconds: null }, BEFORE)).toBe('');
  expect(difference(AFTER, undefined)).toBe('');
});

test('what is best is told, and written only if it is better', () => {
  expect(isBetter(result())).toBe(true);
  expect(conclusion(result())).toBe('Best: 2 threads. So a typical answer takes 29 % less time (25 s).');
  expect(note(result())).toBe('reads 200 and writes 12.5 tokens/s (before: reads 100 and writes 10 tokens/s)');
  expect(isBetter(result({ settings: {} }))).toBe(false);
  expect(conclusion(result({ settings: {} }))).toContain('Best as configured');
  expect(conclusion(result({ settings: {}, trials: 1 }))).toContain('no time');
  const none = { reading: null, writing: null, answer_seconds: null };
  expect(isBetter(result({ before: none }))).toBe(false);
  expect(conclusion(result({ before: none, failure: 'exit code 3' }))).toContain('as it is configured: exit code 3');
});
