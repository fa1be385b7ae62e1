/** What just happened that the person should hear of, and perhaps take back? */
import { sentence } from './api/errors';

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

  say(text: string, kind: Notice['kind'] = 'ok', action?: NoticeAction): void {
    this.post(text, kind, action);
  }

  /** The same; returns the number by which it can be closed before its time. */
  post(text: string, kind: Notice['kind'], action?: NoticeAction): number {
    const id = this.#next++;
    this.all.push({ id, kind, text, action });
    // Errors stay until they are closed: they may need to be read twice. What can be taken back stays for longer.
    if (kind === 'ok') setTimeout(() => this.close(id), action ? 15_000 : 4000);
    return id;
  }

  fail(error: unknown): void {
    this.say(sentence(error), 'bad');
  }

  close(id: number): void {
    this.all = this.all.filter((each) => each.id !== id);
  }
}

export const notices = new Notices();
