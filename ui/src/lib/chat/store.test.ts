// @vitest-environment jsdom
import { afterEach, expect, test, vi } from 'vitest';
import { UNSET, userMessage } from './conversation';
import { recall, remember } from './store';

afterEach(() => {
  localStorage.clear();
  vi.restoreAllMocks();
});

test('a conversation is there again after a reload', () => {
  const state = { panes: [{ model: 'a', messages: [userMessage('hi')] }], parameters: { ...UNSET, seed: 3 } };
  remember(state);
  expect(recall()).toEqual(state);
});

test('without room the words are kept and the images go', () => {
  const set = Storage.prototype.setItem;
  vi.spyOn(Storage.prototype, 'setItem').mockImplementation(function (this: Storage, key, value) {
    if (value.length > 1000) throw new DOMException('full', 'QuotaExceededError');
    set.call(this, key, value);
  });
  remember({ panes: [{ model: 'a', messages: [userMessage('hi', [`data:${'x'.repeat(2000)}`])] }], parameters: UNSET });
  expect(recall().panes[0]?.messages[0]).toMatchObject({ text: 'hi', images: [] });
});

test.each(['{', 'null', '{"panes":[]}', '{"panes":[{}]}'])(
  'what cannot be read is as if it were not there: %s',
  (stored) => {
    localStorage.setItem('claracore.chat', stored);
    expect(recall()).toEqual({ panes: [{ model: '', messages: [] }], parameters: UNSET });
  },
);
