// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { delaySeconds } from './api/connection';
import { FeedThere, PAST_MS } from './logfeed';

type Reply = { status: number; body: ReadableStream<Uint8Array> | string };
let asked: { path: string; signal: AbortSignal }[];
let replies: Reply[];
let said: string[];
let feed: FeedThere;

function stream() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  const send = (text: string | Uint8Array) =>
    controller.enqueue(typeof text === 'string' ? new TextEncoder().encode(text) : text);
  return { status: 200, body, send, end: () => controller.close(), breakOff: () => controller.error(new TypeError()) };
}
const settled = () => vi.advanceTimersByTimeAsync(0);
const texts = () => feed.lines.map(({ text }) => text);
const refused = (status: number) => ({ status, body: JSON.stringify({ error: { message: `no: ${status}` } }) });

beforeEach(() => {
  vi.useFakeTimers();
  [asked, replies, said] = [[], [], []];
  vi.stubGlobal('fetch', async (path: string, { signal }: { signal: AbortSignal }) => {
    asked.push({ path, signal });
    const reply = replies.shift();
    if (!reply) throw new TypeError('refused');
    return new Response(reply.body, { status: reply.status });
  });
});
afterEach(() => {
  feed.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function opened(...given: Reply[]) {
  replies = given;
  feed = new FeedThere('desk/a b', (error) => said.push(error === null ? 'well' : (error as Error).message));
  await settled();
}

test('lines come as they are complete, whatever pieces they arrive in', async () => {
  const text = stream();
  await opened(text);
  expect(asked[0]!.path).toMatch(/\/logs\/stream\/desk\/a%20b$/);
  const umlaut = new TextEncoder().encode('ü\n');
  for (const piece of ['one\ntw', 'o\n', umlaut.slice(0, 1), umlaut.slice(1), 'half']) text.send(piece);
  await settled();
  expect([texts(), said]).toEqual([['one', 'two', 'ü'], ['well']]);
  text.end();
  await settled();
  expect(texts().at(-1)).toBe('half');
});

test('a machine that goes is said, asked again, and its old lines are not shown twice when it is back', async () => {
  const [before, after] = [stream(), stream()];
  await opened(before, refused(502), after);
  before.send('a\nb\n... machine "desk" sends no more\n');
  before.end();
  await settled();
  await vi.advanceTimersByTimeAsync(delaySeconds(1) * 1000);
  expect(said.at(-1)).toBe('no: 502');
  await vi.advanceTimersByTimeAsync(delaySeconds(2) * 1000);
  expect(said.at(-1)).toBe('well');
  after.send('a\n');
  after.send('b\nc\n');
  await vi.advanceTimersByTimeAsync(PAST_MS);
  after.send('a\n');
  await settled();
  expect(texts()).toEqual(['a', 'b', '... machine "desk" sends no more', 'c', 'a']);
  expect(new Set(feed.lines.map(({ n }) => n)).size).toBe(5);
});

test('a machine that was started anew has other lines', async () => {
  const [before, after] = [stream(), stream()];
  await opened(before, after);
  before.send('a\nb\n');
  before.breakOff();
  await settled();
  await vi.advanceTimersByTimeAsync(delaySeconds(1) * 1000);
  after.send('x\n');
  await vi.advanceTimersByTimeAsync(PAST_MS);
  expect([texts(), said]).toEqual([
    ['a', 'b', 'x'],
    ['well', 'well'],
  ]);
});

test('a program that gives no logs is not asked again', async () => {
  await opened(refused(501), stream());
  await vi.advanceTimersByTimeAsync(60_000);
  expect([asked.length, said]).toEqual([1, ['no: 501']]);
});

test('who stops reading lets go of it', async () => {
  await opened(stream(), stream());
  feed.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.map(({ signal }) => signal.aborted)).toEqual([true]);
});
