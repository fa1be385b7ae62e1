// @vitest-environment jsdom
import { afterEach, expect, test, vi } from 'vitest';
import { ask, onRefused, setApiKey } from './client';

afterEach(() => {
  vi.unstubAllGlobals();
  setApiKey('');
});

test.each([
  ['the key that is used', 'old', 1],
  ['one that was given up meanwhile', 'new', 0],
])('a refusal is told of %s', async (_, later, told) => {
  const refused = vi.fn();
  onRefused(refused);
  setApiKey('old');
  vi.stubGlobal('fetch', async () => {
    setApiKey(later);
    return new Response('{}', { status: 401 });
  });
  await expect(ask('/api/models')).rejects.toThrow();
  expect(refused).toHaveBeenCalledTimes(told);
});
