import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LastAsked } from '../api/asking';
import { PAUSE_MS, isReference } from './search';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = () => expect.unreachable();

test('who goes on typing is asked about once, and what is outdated is given up', async () => {
  const typed = new LastAsked();
  const asked: AbortSignal[] = [];
  const heard: string[] = [];
  const answers: ((word: string) => void)[] = [];
  const call = (signal: AbortSignal) => {
    asked.push(signal);
    return new Promise<string>((resolve) => answers.push(resolve));
  };
  const type = () => typed.ask(call, (word) => heard.push(word), never, PAUSE_MS);
  type();
  await vi.advanceTimersByTimeAsync(200);
  type();
  await vi.advanceTimersByTimeAsync(249);
  expect(asked).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toHaveLength(1);
  type();
  expect(asked[0]!.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(250);
  answers[0]!('old');
  answers[1]!('new');
  await vi.advanceTimersByTimeAsync(0);
  expect(heard).toEqual(['new']);
});

test('a failure is told, but not that of what was given up', async () => {
  const typed = new LastAsked();
  const failures: unknown[] = [];
  const fail = (reason: unknown) => void failures.push(reason);
  typed.ask(() => Promise.reject(new Error('first')), never, fail);
  await vi.advanceTimersByTimeAsync(0);
  typed.ask(() => Promise.reject(new Error('second')), never, fail, PAUSE_MS);
  typed.stop();
  await vi.advanceTimersByTimeAsync(1000);
  expect(failures.map(String)).toEqual(['Error: first']);
});

test('a repository is told from words', () => {
  expect(['org/repo', 'https://huggingface.co/org/repo', 'llama-server -hf org/repo:Q4'].every(isReference)).toBe(true);
  expect(['qwen3 coder', 'half', ''].some(isReference)).toBe(false);
});
