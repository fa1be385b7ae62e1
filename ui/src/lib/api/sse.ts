/** What do the bytes of a text/event-stream say? A parser without I/O, and a reader of a response body. */
import { ApiError } from './errors';

export interface SseEvent {
  id: string | null;
  event: string;
  data: string;
}

/** Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream. */
export class SseParser {
  #rest = '';
  #data: string[] = [];
  #event = '';
  #id: string | null = null;

  push(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    const buffer = this.#rest + text;
    // A lone CR at the end may be the first half of CRLF: it waits for the next chunk.
    const lines = buffer.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length)
          events.push({ id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') });
        this.#data = [];
        this.#event = '';
      } else this.#field(line);
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }
}

/** Yields the events of a response as they arrive; `heard` is called for every chunk, heartbeats included. */
export async function* events(response: Response, heard: () => void = () => {}): AsyncGenerator<SseEvent> {
  if (!response.body) return;
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(broken);
      if (done) break;
      heard();
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
    // A last event without its empty line is still an event of a server that closes early.
    yield* parser.push('\n\n');
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Browsers say it in words of their own, each in others. */
function broken(error: unknown): never {
  throw error instanceof TypeError ? new ApiError(0, 'The connection to ClaraCore broke off amid the answer') : error;
}
