// @vitest-environment jsdom
import { expect, test } from 'vitest';
import { recallAttached, rememberAttached } from './draft';

test('what is attached to a draft is there again, and what others have written is left out', () => {
  const good = { kind: 'text' as const, name: 'a', at: 'kept:1', tokens: 2 };
  rememberAttached([good]);
  expect(recallAttached()).toEqual([good]);
  for (const odd of ['', '{', '5', '[null, 3, {"kind": "virus", "name": "a", "at": "b", "tokens": 1}]']) {
    sessionStorage.setItem('claracore.chat.attached', odd);
    expect(recallAttached()).toEqual([]);
  }
});
