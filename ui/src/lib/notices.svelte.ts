/** What just happened that the person should hear of? */
import { sentence } from './api/errors';

export interface Notice {
  id: number;
  kind: 'ok' | 'bad';
  text: string;
}

class Notices {
  all: Notice[] = $state([]);
  #next = 1;

  say(text: string, kind: Notice['kind'] = 'ok'): void {
    const id = this.#next++;
    this.all.push({ id, kind, text });
    // Errors stay until they are closed: they may need to be read twice.
    if (kind === 'ok') setTimeout(() => this.close(id), 4000);
  }

  fail(error: unknown): void {
    this.say(sentence(error), 'bad');
  }

  close(id: number): void {
    this.all = this.all.filter((each) => each.id !== id);
  }
}

export const notices = new Notices();
