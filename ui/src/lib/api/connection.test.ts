// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Connection, SILENCE_SECONDS, type Status, delaySeconds } from './connection';

type Reply = { status: number; body: ReadableStream<Uint8Array> | string };
type Init = { headers: Record<string, string>; signal: AbortSignal; credentials: RequestCredentials };
let asked: Init[];
let replies: (Reply | 'refused')[];
let said: Status[];
let heard: string[];

function stream(): { body: ReadableStream<Uint8Array>; send: (text: string) => void; end: () => void } {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  return { body, send: (text) => controller.enqueue(new TextEncoder().encode(text)), end: () => controller.close() };
}

const connect = () =>
  new Connection('/api/stream', {
    status: (status) => said.push(status),
    event: (event) => heard.push(`${event.event} ${event.data}`),
  });
const settled = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  [asked, replies, said, heard] = [[], [], [], []];
  vi.stubGlobal('fetch', async (_: string, init: Init) => {
    asked.push(init);
    const reply = replies.shift() ?? 'refused';
    if (reply === 'refused') throw new TypeError('refused');
    if (reply.body instanceof ReadableStream) {
      const body = reply.body;
      // As browsers do: an aborted fetch breaks off its body.
      const broken = new TransformStream<Uint8Array, Uint8Array>();
      void body.pipeTo(broken.writable, { signal: init.signal }).catch(() => {});
      return new Response(broken.readable, { status: reply.status });
    }
    return new Response(reply.body, { status: reply.status });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('it reads, and resumes after the last event when the stream ends', async () => {
  const first = stream();
  replies = [
    { status: 200, body: first.body },
    { status: 200, body: stream().body },
  ];
  connect().start();
  await settled();
  first.send('id: 41\nevent: model\ndata: {}\n\n');
  await settled();
  expect([said, heard]).toEqual([['connecting', 'live'], ['model {}']]);
  first.end();
  await settled();
  expect(said.at(-1)).toBe('lost');
  await vi.advanceTimersByTimeAsync(delaySeconds(1) * 1000);
  expect(said.at(-1)).toBe('live');
  expect(asked[1]?.headers['Last-Event-ID']).toBe('41');
});

test('each failure waits longer, up to a limit, and says that it is lost', async () => {
  connect().start();
  await settled();
  for (let failures = 1; failures < 9; failures += 1) {
    expect(asked).toHaveLength(failures);
    await vi.advanceTimersByTimeAsync(delaySeconds(failures) * 1000);
  }
  expect(said).toEqual(['connecting', ...Array(9).fill('lost')]);
  expect(delaySeconds(100)).toBe(5);
});

test('silence is a loss: a connection whose other end is gone does not end by itself', async () => {
  replies = [{ status: 200, body: stream().body }];
  connect().start();
  await settled();
  expect(said.at(-1)).toBe('live');
  await vi.advanceTimersByTimeAsync(SILENCE_SECONDS * 1000);
  expect(said.at(-1)).toBe('lost');
});

test('a heartbeat is a sign of life', async () => {
  const quiet = stream();
  replies = [{ status: 200, body: quiet.body }];
  connect().start();
  for (let beat = 0; beat < 5; beat += 1) {
    await vi.advanceTimersByTimeAsync(SILENCE_SECONDS * 900);
    quiet.send(': still here\n\n');
    await settled();
  }
  expect(said.at(-1)).toBe('live');
});

test('a wrong key is not tried again by itself', async () => {
  replies = [
    { status: 401, body: '{}' },
    { status: 200, body: 'the icon, which needs no key' },
  ];
  connect().start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said).toEqual(['connecting', 'locked']);
  expect(asked).toHaveLength(2);
});

test('a key that may not look at the server is no loss, and not tried again', async () => {
  replies = [{ status: 403, body: '{"error": {"message": "the key \'x\' does not have the scope \'read\'"}}' }];
  connect().start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([said, asked.length]).toEqual([['connecting', 'limited'], 1]);
});

test('what something in between forbids is tried again', async () => {
  replies = [{ status: 403, body: '<h1>Forbidden</h1>' }];
  connect().start();
  await settled();
  expect(said).toEqual(['connecting', 'lost']);
});

test('a paused connection neither speaks nor retries', async () => {
  const first = stream();
  replies = [{ status: 200, body: first.body }];
  const connection = connect();
  connection.start();
  await settled();
  connection.pause();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(said.at(-1)).toBe('paused');
  expect(asked).toHaveLength(1);
  expect(asked[0]?.signal.aborted).toBe(true);
});

test('where the browser was asked for the key before the page came, it goes on presenting it', async () => {
  replies = [
    { status: 401, body: '{}' },
    { status: 401, body: 'the icon needs a key as well' },
    { status: 200, body: stream().body },
  ];
  connect().start();
  await settled();
  expect(said).toEqual(['connecting', 'live']);
  expect(asked.map((init) => init.credentials)).toEqual(['omit', 'omit', 'same-origin']);
});
