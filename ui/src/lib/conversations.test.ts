import { expect, test } from 'vitest';
import { keptConversations } from './conversations';

const NONE = {
  keep: 'memory',
  saved: 0,
  saved_tokens: 0,
  saved_bytes: 0,
  restored: 0,
  reused_tokens: 0,
  saved_seconds: null,
  works: 'unknown' as const,
  why: '',
};

test('what is kept is said with its size, and with what it has brought', () => {
  expect(keptConversations(NONE)).toBe('none now');
  expect(keptConversations({ ...NONE, saved: 2, saved_bytes: 2 ** 20 })).toBe('2, 1.0 MiB');
  const used = { ...NONE, saved: 2, saved_bytes: 2 ** 20, reused_tokens: 500, saved_seconds: 4, works: 'yes' as const };
  expect(keptConversations(used)).toBe('2, 1.0 MiB; 500 tokens not read again (4 s)');
});

test('where nothing is kept the reason is there', () => {
  expect(keptConversations({ ...NONE, works: 'no', why: 'it is switched off' })).toBe('none: it is switched off');
});
