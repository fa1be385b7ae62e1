/** Which conversations does this browser keep? All of them, as they are now, whichever tab writes. */
import { SvelteMap } from 'svelte/reactivity';
import type { Thread } from '../thread';
import { allThreads, forgetThread, heardChange, keepThread, onKept } from '../threads';
import { type Entry, entriesOf } from './history';

class Shelf {
  #threads = new SvelteMap<string, Thread>(allThreads().map((thread) => [thread.id, thread]));
  readonly entries: Entry[] = $derived(entriesOf(this.#threads.values()));

  constructor() {
    onKept((id, thread) => this.#set(id, thread));
    addEventListener('storage', (event) => {
      const change = heardChange(event);
      if (change) this.#set(change.id, change.value);
    });
  }

  get threads(): Thread[] {
    return [...this.#threads.values()];
  }

  get(id: string): Thread | undefined {
    return this.#threads.get(id);
  }

  /** Puts conversations into the shelf, together with what is known of them there. False where the browser has no room. */
  take(threads: readonly Thread[]): boolean {
    return threads.map(keepThread).every(Boolean);
  }

  remove(threads: readonly Thread[]): void {
    for (const { id } of threads) forgetThread(id);
  }

  #set(id: string, thread: Thread | null): void {
    if (thread) this.#threads.set(id, thread);
    else this.#threads.delete(id);
  }
}

export const shelf = new Shelf();
