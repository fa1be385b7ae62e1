/** What just happened that the person should hear of, and perhaps take back? */
import { sentence } from './api/errors';

/** In milliseconds: so long a message is there, one with a button, and one that was looked at when its time was over. */
const [SHORT, LONG, AFTER] = [4000, 15_000, 2000];

/** So many stand there at once; errors, which stay until they are closed, may be a few more. */
const [MOST, MOST_ERRORS] = [3, 5];

/** Something that can be done about it with a button: `Undo`. */
export interface NoticeAction {
  label: string;
  run: () => void;
}

export interface Notice {
  id: number;
  kind: 'ok' | 'bad';
  text: string;
  action?: NoticeAction;
}

class Notices {
  all: Notice[] = $state([]);
  #next = 1;
  /** Whether somebody points at the messages, or has the focus there. */
  #held = false;
  /** Those whose time was over meanwhile. */
  #due: number[] = [];

  say(text: string, kind: Notice['kind'] = 'ok', action?: NoticeAction): void {
    this.post(text, kind, action);
  }

  /** The same; returns the number by which it can be closed before its time. */
  post(text: string, kind: Notice['kind'], action?: NoticeAction): number {
    const id = this.#next++;
    // Said twice at once, it stands there once.
    this.all = this.all.filter((each) => each.text !== text || each.kind !== kind);
    this.all.push({ id, kind, text, action });
    this.#makeRoom();
    // Errors stay until they are closed: they may need to be read twice. What can be taken back stays for longer.
    if (kind === 'ok') setTimeout(() => this.#over(id), action ? LONG : SHORT);
    return id;
  }

  /** Nothing goes away under a person's hand. */
  hold(held: boolean): void {
    this.#held = held;
    if (held) return;
    this.#makeRoom();
    for (const id of this.#due.splice(0)) setTimeout(() => this.#over(id), AFTER);
  }

  #over(id: number): void {
    if (this.#held) this.#due.push(id);
    else this.close(id);
  }

  /** The oldest that may go, do; the newest stays. */
  #makeRoom(): void {
    if (this.#held) return;
    const passing = this.all.slice(0, -1).filter(({ kind }) => kind === 'ok');
    const errors = this.all.filter(({ kind }) => kind === 'bad');
    const gone = [...beyond(passing, this.all.length - MOST), ...beyond(errors, errors.length - MOST_ERRORS)];
    if (gone.length) this.all = this.all.filter((each) => !gone.includes(each));
  }

  fail(error: unknown): void {
    this.say(sentence(error), 'bad');
  }

  close(id: number): void {
    this.all = this.all.filter((each) => each.id !== id);
  }
}

/** The first so many, or none. */
const beyond = (from: Notice[], count: number): Notice[] => from.slice(0, Math.max(0, count));

export const notices = new Notices();
