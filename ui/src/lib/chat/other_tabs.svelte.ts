/**
 * Which answers are being written in other tabs? Each tab says what it writes, and says it again when it is asked. One
 * that is gone without a word does not answer, and what it wrote is taken to have broken off.
 */
import { SvelteMap } from 'svelte/reactivity';

/** How often other tabs are asked while one of them writes, in milliseconds. */
const ASKED_EVERY = 3000;

/** What is sent between tabs: what one writes, or, without it, a question what others write. */
interface Word {
  tab: string;
  writes?: string[];
}

export class OtherTabs {
  #theirs = new SvelteMap<string, readonly string[]>();
  /** Those that were not heard since they were asked. */
  #silent = new Set<string>();
  #own: readonly string[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `tab` is what this one is called; what is said in `channel` is heard by all others. */
  constructor(
    private readonly channel: BroadcastChannel,
    private readonly tab: string,
  ) {
    channel.addEventListener('message', ({ data }: MessageEvent<Word>) => this.#hear(data));
    this.#say({ tab });
  }

  /** Whether another tab writes this message. */
  write(message: string): boolean {
    return [...this.#theirs.values()].some((ids) => ids.includes(message));
  }

  /** Tells the others which messages this tab writes. */
  tell(writes: readonly string[]): void {
    if (!writes.length && !this.#own.length) return;
    this.#own = writes;
    this.#say({ tab: this.tab, writes: [...writes] });
  }

  #hear({ tab, writes }: Word): void {
    if (!writes) {
      if (this.#own.length) this.#say({ tab: this.tab, writes: [...this.#own] });
      return;
    }
    this.#silent.delete(tab);
    if (writes.length) this.#theirs.set(tab, writes);
    else this.#theirs.delete(tab);
    this.#watch();
  }

  #watch(): void {
    if (this.#theirs.size) this.#timer ??= setInterval(() => this.#check(), ASKED_EVERY);
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #check(): void {
    for (const tab of this.#silent) this.#theirs.delete(tab);
    this.#silent = new Set(this.#theirs.keys());
    this.#watch();
    this.#say({ tab: this.tab });
  }

  #say(word: Word): void {
    this.channel.postMessage(word);
  }
}
