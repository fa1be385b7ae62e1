import { expect, test } from 'vitest';
import { beginning, shortened, toShorten } from './shorten';

test('the longest text is cut, where that suffices', () => {
  const [short, long] = [{ tokens: 400 }, { tokens: 2000 }];
  expect(toShorten([short, long], 1000)).toBe(long);
  expect(toShorten([short, long], 1900)).toBeNull();
  expect(toShorten([], 10)).toBeNull();
});

test('what is left has room for an answer, and ends where a line ends', () => {
  const text = 'one line of words\n'.repeat(400);
  const cut = beginning(text, 2000, 744);
  expect(cut.length).toBeLessThan(text.length / 2);
  expect(cut.length).toBeGreaterThan(text.length / 3);
  expect(cut).toMatch(/words\n\[the rest was left out\]$/);
});

test('its name says so, once', async () => {
  const each = { kind: 'text' as const, name: 'a.txt', at: 'x '.repeat(4000), tokens: 2000 };
  const once = await shortened(each, 2000, 100);
  expect(once?.name).toBe('a.txt (beginning)');
  expect((await shortened(once!, once!.tokens, 100))?.name).toBe('a.txt (beginning)');
});
