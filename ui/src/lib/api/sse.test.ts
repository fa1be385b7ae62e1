import { expect, test } from 'vitest';
import { SseParser, events } from './sse';

const parse = (...chunks: string[]) => {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};

test('an event is its id, type and data', () => {
  expect(parse('id: 7\nevent: model\ndata: {"a":1}\n\n')).toEqual([{ id: '7', event: 'model', data: '{"a":1}' }]);
});

test('events may be cut anywhere, and between CR and LF', () => {
  const text = 'id: 7\r\nevent: model\r\ndata: one\r\ndata: two\r\n\r\ndata: x\n\n';
  const whole = parse(text);
  expect(whole).toEqual([
    { id: '7', event: 'model', data: 'one\ntwo' },
    { id: '7', event: 'message', data: 'x' },
  ]);
  for (let cut = 1; cut < text.length; cut += 1) expect(parse(text.slice(0, cut), text.slice(cut))).toEqual(whole);
  expect(parse(...text)).toEqual(whole);
});

test('comments and events without data are not events', () => {
  expect(parse(': heartbeat\n\nevent: nothing\n\n')).toEqual([]);
});

test('only one space after the colon is taken away, and a field may have no value', () => {
  expect(parse('data:  two\ndata\n\n')[0]?.data).toBe(' two\n');
});

test('the last event of a stream counts although its empty line is missing', async () => {
  const response = new Response('data: one\n\ndata: [DONE]\n');
  const found: string[] = [];
  for await (const { data } of events(response)) found.push(data);
  expect(found).toEqual(['one', '[DONE]']);
});

test('a connection that breaks off is said in words, and an end that was wanted is not', async () => {
  const broken = (error: Error) => new Response(new ReadableStream({ pull: (stream) => stream.error(error) }));
  const read = async (response: Response) => {
    for await (const each of events(response)) void each;
  };
  await expect(read(broken(new TypeError('network error')))).rejects.toThrow('The connection to ClaraCore broke off');
  await expect(read(broken(new DOMException('', 'AbortError')))).rejects.toHaveProperty('name', 'AbortError');
});
