// @vitest-environment jsdom
import { afterEach, expect, test, vi } from 'vitest';
import { type Message, UNSET, brokenOff, emptyAnswer, userMessage } from './conversation';
import { heardThread, keepThread, merged, newThread, readThread, recallOpened, rememberOpened } from './threads';

afterEach(() => {
  localStorage.clear();
  sessionStorage.clear();
  vi.restoreAllMocks();
});

const said = (text: string, at: number): Message => ({ ...userMessage(text), at });
const answered = (text: string, at: number): Message => ({ ...emptyAnswer(), text, at });
const thread = (...messages: Message[]) => ({ ...newThread('a'), id: 'x', messages });
const texts = ({ messages }: { messages: Message[] }) => messages.map(({ text }) => text);

test('a conversation and a draft are there again after a reload', () => {
  const held = thread(said('hi', 1), answered('hello', 1));
  const parameters = { ...UNSET, seed: 3 };
  keepThread(held);
  rememberOpened({ threads: [held], parameters, draft: 'and th' });
  expect(recallOpened()).toEqual({ threads: [held], parameters, draft: 'and th' });
});

test('a new tab opens what the last one had, and a tab keeps what it had itself', () => {
  const [first, second] = [thread(said('one', 1)), { ...thread(said('two', 2)), id: 'y' }];
  for (const each of [first, second]) keepThread(each);
  rememberOpened({ threads: [first], parameters: UNSET, draft: '' });
  const own = sessionStorage.getItem('claracore.chat.tab')!;
  rememberOpened({ threads: [second], parameters: UNSET, draft: '' });
  sessionStorage.clear();
  expect(recallOpened().threads).toEqual([second]);
  sessionStorage.setItem('claracore.chat.tab', own);
  expect(recallOpened().threads).toEqual([first]);
});

test('what two tabs said in one conversation is there in its order', () => {
  const start = said('start', 1);
  keepThread(thread(start, said('of one tab', 3)));
  keepThread(thread(start, said('of the other', 2)));
  expect(texts(readThread('x')!)).toEqual(['start', 'of the other', 'of one tab']);
});

test('of an answer the version that knows more is kept, and ours where they know the same', () => {
  const growing = answered('Hel', 1);
  const longer = { ...growing, text: 'Hello' };
  const failed = { ...growing, text: '', error: 'it died' };
  expect(texts(merged(thread(growing), thread(longer)))).toEqual(['Hello']);
  expect(merged(thread(longer), thread(failed)).messages).toEqual([failed]);
  expect(merged(thread(longer), thread({ ...longer })).messages[0]).toBe(longer);
});

test('what was replaced does not come back from another tab', () => {
  const [question, old] = [said('why', 1), answered('because', 1)];
  keepThread(thread(question, old));
  keepThread({ ...thread(question, answered('therefore', 2)), removed: [old.id] });
  keepThread(thread(question, old));
  expect(texts(readThread('x')!)).toEqual(['why', 'therefore']);
});

test('another tab is heard, and only about conversations', () => {
  keepThread(thread(said('hi', 1)));
  const newValue = localStorage.getItem('claracore.chat.thread.x');
  expect(heardThread(new StorageEvent('storage', { key: 'claracore.chat.thread.x', newValue }))).toEqual(
    readThread('x'),
  );
  expect(heardThread(new StorageEvent('storage', { key: 'theme', newValue: '"dark"' }))).toBeNull();
  expect(heardThread(new StorageEvent('storage', { key: 'claracore.chat.thread.x', newValue: null }))).toBeNull();
});

test('attachments are kept by name, and pictures of an older interface stay', () => {
  const file = { kind: 'text' as const, name: 'a.txt', at: 'kept:1', tokens: 3 };
  keepThread(thread(userMessage('hi', [file])));
  expect(readThread('x')!.messages[0]!.attached).toEqual([file]);
  const older = { ...userMessage('hi'), attached: undefined, images: ['data:image/png;base64,AA', 'https://x'] };
  localStorage.setItem('claracore.chat.thread.x', JSON.stringify({ id: 'x', model: 'm', messages: [older] }));
  expect(readThread('x')!.messages[0]!.attached).toEqual([
    { kind: 'image', name: 'Picture 1', at: 'data:image/png;base64,AA', tokens: 0 },
  ]);
});

test('an empty conversation is not kept', () => {
  keepThread(thread(said('hi', 1)));
  keepThread(thread());
  expect(readThread('x')).toBeNull();
});

test('what an older interface kept is taken over', () => {
  const { at: _, ...old } = said('hi', 1);
  localStorage.setItem('claracore.chat', JSON.stringify({ panes: [{ model: 'a', messages: [old] }], parameters: {} }));
  const [found] = recallOpened().threads;
  expect(found).toMatchObject({ model: 'a', messages: [{ text: 'hi' }] });
  expect(readThread(found!.id)).toEqual(found);
});

test.each(['{', 'null', '{"open":[]}', '{"open":[3]}', '{"open":{},"draft":4}'])(
  'what cannot be read is as if it were not there: %s',
  (stored) => {
    localStorage.setItem('claracore.chat.tab', stored);
    expect(recallOpened()).toMatchObject({ threads: [{ model: '', messages: [] }], parameters: UNSET, draft: '' });
  },
);

test('odd records and messages are left out', () => {
  localStorage.setItem('claracore.chat.thread.x', '{"id":"x","messages":[null,3,{"role":"system"},{"role":"user"}]}');
  expect(texts(readThread('x')!)).toEqual(['']);
  localStorage.setItem('claracore.chat.thread.x', '{"messages":[]}');
  expect(readThread('x')).toBeNull();
});

test('an answer without an end broke off', () => {
  expect(brokenOff(answered('Hel', 1))).toBe(true);
  expect(brokenOff({ ...answered('Hel', 1), stopped: true })).toBe(false);
  expect(brokenOff(said('hi', 1))).toBe(false);
});
