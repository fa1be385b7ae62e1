/**
 * How does the interface read a text that goes on, line by line? It reads until the text ends, and begins it anew a little
 * later each time. It does not know what the lines mean.
 */
import { ask } from './client';
import { delaySeconds } from './connection';
import { ApiError } from './errors';

export interface LineHooks {
  /** The text begins: all that follows is of this one. */
  begun(): void;
  lines(lines: string[]): void;
  /** There is none now; it is tried again unless `final`. */
  failed(error: unknown, final: boolean): void;
}

/** Who asks without a key, or for what is not there, would get the same answer again. */
const isFinal = (error: unknown) => error instanceof ApiError && [400, 401, 403, 404, 501].includes(error.status);

export class LineStream {
  #failures = 0;
  #abort: AbortController | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly path: string,
    private readonly hooks: LineHooks,
  ) {}

  /** Reads it from its beginning. */
  start(): void {
    this.stop();
    void this.#run();
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = null;
    clearTimeout(this.#retry);
  }

  async #run(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const response = await ask(this.path, { signal: abort.signal });
      if (abort !== this.#abort) return;
      this.hooks.begun();
      await this.#read(response, abort);
    } catch (error) {
      if (abort !== this.#abort) return;
      // A text that breaks off has ended, which is no failure.
      if (error instanceof ApiError) {
        this.hooks.failed(error, isFinal(error));
        if (isFinal(error)) return;
      }
    }
    if (abort !== this.#abort) return;
    this.#failures += 1;
    this.#retry = setTimeout(() => void this.#run(), delaySeconds(this.#failures) * 1000);
  }

  async #read(response: Response, abort: AbortController): Promise<void> {
    if (!response.body) return;
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (abort !== this.#abort) return;
        const whole = (rest + decoder.decode(value, { stream: !done })).split('\n');
        // A last line without an end is still a line.
        rest = done ? '' : whole.pop()!;
        if (done && whole.at(-1) === '') whole.pop();
        if (whole.length) {
          this.#failures = 0;
          this.hooks.lines(whole);
        }
        if (done) return;
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }
}
