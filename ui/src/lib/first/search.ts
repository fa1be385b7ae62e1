/** How is the hub asked while somebody types? Not for every letter, and what is outdated is given up. */
import { asking } from '../api/asking';

export const LEAST_LETTERS = 2;
/** More are not sent: nothing is called so. */
export const MOST_LETTERS = 200;
const PAUSE_MS = 250;

export class Typed {
  #end = () => {};

  /** Asks, after a pause if more may be typed `soon`; the answers of what was asked before do not come any more. */
  ask<T>(
    call: (signal: AbortSignal) => Promise<T>,
    take: (answer: T) => void,
    fail: (reason: unknown) => void,
    soon = false,
  ): void {
    this.stop();
    this.#end = asking(call, take, fail, soon ? PAUSE_MS : 0);
  }

  stop(): void {
    this.#end();
  }
}

/** Whether a repository is named, and not words that one may have. */
export function isReference(text: string): boolean {
  return text.includes('/') || text.includes(' -hf');
}
