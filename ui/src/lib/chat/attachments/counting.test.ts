// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { model } from '../../../testing/values';
import { live } from '../../live.svelte';
import { counting } from './counting.svelte';

const answers: Response[] = [];
const asked: string[][] = [];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('fetch', async (_: string, { body }: { body: string }) => {
    asked.push((JSON.parse(body) as { texts: string[] }).texts);
    return answers.shift()!;
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const runs = (pid: number) => (live.models = [model('m', { state: 'ready', pid })]);
async function want(text: string) {
  counting.want('m', [{ key: text, text }]);
  await vi.runAllTimersAsync();
}
const counted = (...tokens: number[]) => Response.json({ model: 'm', tokens, prompt: null });
const conflict = () => Response.json({ error: { message: 'it is not loaded' } }, { status: 409 });

test('a server that does not count is not asked again, and the next one of the same model is', async () => {
  runs(1);
  // It is unloaded, and the page has not heard of it: this one will never count.
  answers.push(conflict());
  await want('one');
  await want('two');
  expect(asked).toEqual([['one']]);
  runs(2);
  answers.push(counted(2));
  await want('three');
  expect(asked).toEqual([['one'], ['three']]);
  expect(counting.told('m')('three')).toBe(2);
});
