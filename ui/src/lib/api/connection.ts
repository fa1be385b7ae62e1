/**
 * How does the interface stay connected to /api/stream? It reads until the stream ends or falls silent, waits a little
 * longer each time, and resumes after the last event it saw. It does not know what the events mean.
 */
import { ask } from './client';
import { ApiError } from './errors';
import { type SseEvent, events } from './sse';

/** `locked`: another key is needed; `limited`: the key may not look at the server, which does answer. */
export type Status = 'connecting' | 'live' | 'lost' | 'locked' | 'limited' | 'paused';

export const DELAYS_SECONDS = [0.3, 0.6, 1, 2, 3, 5];
/** The server sends a heartbeat each 15 s; two missed ones and a bit. */
export const SILENCE_SECONDS = 40;

export interface ConnectionHooks {
  status(status: Status, retryAt: number | null): void;
  event(event: SseEvent): void;
}

export function delaySeconds(failures: number): number {
  return DELAYS_SECONDS[Math.min(failures, DELAYS_SECONDS.length) - 1] ?? DELAYS_SECONDS[0]!;
}

/** What the key lacks, where that is why there is no stream; to try again would change nothing. */
function refusal(error: unknown): 'locked' | 'limited' | null {
  if (!(error instanceof ApiError)) return null;
  if (error.status === 401) return 'locked';
  return error.lacksScope ? 'limited' : null;
}

export class Connection {
  #lastId: string | null = null;
  #failures = 0;
  #abort: AbortController | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #watchdog: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly path: string,
    private readonly hooks: ConnectionHooks,
  ) {}

  /** Connects now; also the way to hurry a retry. */
  start(): void {
    this.#clear();
    void this.#run();
  }

  /** Stops for as long as nobody looks, so that hidden tabs do not use up the browser's six connections a host. */
  pause(): void {
    this.#clear();
    this.hooks.status('paused', null);
  }

  stop(): void {
    this.#clear();
  }

  #clear(): void {
    this.#abort?.abort();
    this.#abort = null;
    if (this.#retry) clearTimeout(this.#retry);
    if (this.#watchdog) clearTimeout(this.#watchdog);
    this.#retry = this.#watchdog = null;
  }

  #heard(abort: AbortController): void {
    if (this.#watchdog) clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => abort.abort(), SILENCE_SECONDS * 1000);
  }

  async #run(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    if (this.#failures === 0) this.hooks.status('connecting', null);
    this.#heard(abort);
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (this.#lastId !== null) headers['Last-Event-ID'] = this.#lastId;
      const response = await ask(this.path, { headers, signal: abort.signal });
      this.#failures = 0;
      this.hooks.status('live', null);
      for await (const event of events(response, () => this.#heard(abort))) {
        if (abort !== this.#abort) return;
        if (event.id !== null) this.#lastId = event.id;
        this.hooks.event(event);
      }
    } catch (error) {
      if (abort !== this.#abort) return;
      const refused = refusal(error);
      if (refused) {
        this.#clear();
        this.hooks.status(refused, null);
        return;
      }
    }
    if (abort === this.#abort) this.#again();
  }

  #again(): void {
    this.#clear();
    this.#failures += 1;
    const wait = delaySeconds(this.#failures) * 1000;
    this.hooks.status('lost', Date.now() + wait);
    this.#retry = setTimeout(() => void this.#run(), wait);
  }
}
