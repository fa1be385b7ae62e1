/** How much memory have the devices now? Asked again while somebody shows it, and only in a tab that is looked at. */
import { snapshot } from '../api/client';
import { Followed } from '../api/followed';
import type { MemoryReport, Model } from '../api/types';
import { live } from '../live.svelte';

const POLL_MS = 5000;
/** What follows it on a page is not held up for longer. */
const PATIENCE_MS = 1000;
/** Events of models come in bursts. */
const CALM_MS = 300;

class Memory {
  /** Null until it is known, and where it cannot be. */
  report: MemoryReport | null = $state.raw(null);
  /** Whether it need not be waited for any more. */
  settled = $state(false);

  #watchers = 0;
  #end: () => void = () => {};
  // The connection says what is wrong with an answer that fails; the next look may succeed.
  #followed = new Followed<MemoryReport | null, null>({
    ask: () => snapshot('/api/memory'),
    show: (report) => (this.report = report),
  });
  #asking = false;
  #soon: ReturnType<typeof setTimeout> | undefined;
  #heard = new Map<string, string>();

  /** Keeps `report` true until the function is called that this returns. */
  watch(): () => void {
    if (!this.#watchers++) this.#begin();
    return () => {
      if (!--this.#watchers) this.#end();
    };
  }

  #begin(): void {
    const poll = setInterval(() => void this.#look(), POLL_MS);
    const patience = setTimeout(() => (this.settled = true), PATIENCE_MS);
    const again = () => void this.#look();
    const ends = [
      live.on('resync', again),
      live.on('models', again),
      live.on<Model>('model', (model, id) => this.#heardOf(model, id)),
      live.on<{ last_id: number }>('hello', ({ last_id }) => this.#followed.follow(last_id)),
    ];
    document.addEventListener('visibilitychange', again);
    this.#end = () => {
      clearInterval(poll);
      clearTimeout(patience);
      clearTimeout(this.#soon);
      document.removeEventListener('visibilitychange', again);
      ends.forEach((end) => end());
    };
    void this.#look();
  }

  /** Progress of a load changes no memory that is worth a look. */
  #heardOf({ id, state, memory }: Model, event: number | null): void {
    const heard = JSON.stringify([state, memory]);
    if (this.#heard.get(id) === heard) return;
    this.#heard.set(id, heard);
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => document.hidden || this.#followed.hear(null, event), CALM_MS);
  }

  async #look(): Promise<void> {
    if (this.#asking || document.hidden) return;
    this.#asking = true;
    await this.#followed.refresh();
    this.#asking = false;
    this.settled = true;
  }
}

export const memory = new Memory();
