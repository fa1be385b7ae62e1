/**
 * How do the lines of a log come to who shows it? Those that are kept here come as events, after a snapshot; those of a
 * model on another machine as a text that ClaraCore relays, for as long as somebody reads it.
 */
import { idPath, snapshot } from './api/client';
import { Connection } from './api/connection';
import { Followed } from './api/followed';
import { LineStream } from './api/lines';
import type { LogEvent, LogLine } from './api/types';
import { type Line, beyond, kept } from './logs';

/** Told after each answer: what is wrong, or null. */
export type Answered = (error: unknown) => void;

/** So long after a text has begun anew its lines are taken for those of before, where they are equal. */
export const PAST_MS = 600;

/** ClaraCore's own words between the lines: they are of one reading, and not in the log. */
const isNote = (line: LogLine) => line.text.startsWith('... ');

abstract class Feed {
  lines: Line[] = [];
  #count = 0;

  /** Who reads calls it now and then: lines may come by the thousand. */
  forget(): void {
    this.lines = kept(this.lines);
  }

  abstract stop(): void;

  protected numbered = (line: LogLine): Line => ({ ...line, n: (this.#count += 1) });
}

export class FeedHere extends Feed {
  #connection: Connection;

  constructor(source: string, answered: Answered) {
    super();
    const followed = new Followed<Line[], LogLine>({
      ask: async () => {
        const path = `/api/logs?source=${encodeURIComponent(source)}&lines=1000`;
        const before = [...this.lines];
        const { value, known } = await snapshot<{ lines: LogLine[] }>(path);
        return { value: [...before, ...beyond(before, value.lines).map(this.numbered)], known };
      },
      now: () => this.lines,
      // They are put into one list, which is drawn a few times a second.
      change: (all, line) => {
        all.push(this.numbered(line));
        return all;
      },
      show: (all) => (this.lines = all),
      failed: answered,
    });
    const refresh = () => void followed.refresh().then((well) => well && answered(null));
    this.#connection = new Connection(`/api/stream?topics=${encodeURIComponent(`log:${source}`)}`, {
      status: (status) => status === 'live' && refresh(),
      event: ({ id, event, data }) => {
        if (event === 'log') followed.hear(JSON.parse(data) as LogEvent, id === null ? null : Number(id));
        else if (event === 'hello') followed.follow((JSON.parse(data) as { last_id: number }).last_id);
        // So many came at once that they were not sent one by one.
        else if (event === 'resync') refresh();
      },
    });
    this.#connection.start();
  }

  stop(): void {
    this.#connection.stop();
  }
}

export class FeedThere extends Feed {
  #stream: LineStream;
  /** What has come of a text that began anew, until it is known what of it is new. */
  #anew: LogLine[] | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(model: string, answered: Answered) {
    super();
    this.#stream = new LineStream(`/logs/stream/${idPath(model)}`, {
      begun: () => {
        this.#settle();
        if (this.lines.length) {
          this.#anew = [];
          this.#timer = setTimeout(() => this.#settle(), PAST_MS);
        }
        answered(null);
      },
      lines: (texts) => {
        const lines = texts.map((text) => ({ at: null, level: null, text }));
        if (this.#anew) this.#anew.push(...lines);
        else for (const line of lines) this.lines.push(this.numbered(line));
      },
      failed: (error) => {
        this.#settle();
        answered(error);
      },
    });
    this.#stream.start();
  }

  /** Begins the text anew: whoever was away does not know whether it was broken off meanwhile. */
  again(): void {
    this.#stream.start();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stream.stop();
  }

  #settle(): void {
    clearTimeout(this.#timer);
    if (!this.#anew) return;
    const before = this.lines.filter((line) => !isNote(line));
    this.lines = [...this.lines, ...beyond(before, this.#anew).map(this.numbered)];
    this.#anew = null;
  }
}
