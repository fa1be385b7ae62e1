import { expect, test } from 'vitest';
import { unknownModel } from './api/listed';
import { keptConversations } from './conversations';

const NONE = unknownModel('a').conversation;

test('what is kept is said with its size, and with what it has brought', () => {
  expect(keptConversations(NONE)).toBe('none now');
  expect(keptConversations({ ...NONE, saved: 2, saved_bytes: 2 ** 20 })).toBe('2, 1.0 MiB');
  const used = { ...NONE, saved: 2, saved_bytes: 2 ** 20, reused_tokens: 500, saved_seconds: 4, works: 'yes' as const };
  expect(keptConversations(used)).toBe('2, 1.0 MiB; 500 tokens not read again (4 s)');
});

test('where nothing is kept the reason is there', () => {
  expect(keptConversations({ ...NONE, works: 'no', why: 'it is switched off' })).toBe('none: it is switched off');
});
