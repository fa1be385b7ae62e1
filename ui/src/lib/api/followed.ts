/**
 * How is what a page shows kept true? It is asked for once, and events change it. The answer names the last event that it
 * knows (`Join`), so that none falls between both, and none that is older is put on top.
 */
import { Join } from './join';

export interface Answer<V> {
  value: V;
  /** The id of the last event that it knows. */
  known: number;
}

export interface FollowedHooks<V, E> {
  ask: () => Promise<Answer<V>>;
  /** What is shown now; answers to what a person did may have changed it. */
  now?: () => V;
  /** With an event put on top. Without this an event tells that something has changed, and not what: it is asked again. */
  change?: (value: V, event: E) => V;
  show: (value: V) => void;
  failed?: (error: unknown) => void;
}

export class Followed<V, E> {
  #join = new Join<{ id: number | null; event: E }>();
  #asking = 0;

  constructor(private readonly hooks: FollowedHooks<V, E>) {}

  /** Asks for it; resolves when it is shown, or to false when `failed` was told why not. */
  async refresh(): Promise<boolean> {
    const { ask, change, show, failed } = this.hooks;
    this.#join.begin();
    this.#asking += 1;
    let answer: Answer<V>;
    try {
      answer = await ask();
    } catch (error) {
      this.#join.failed();
      failed?.(error);
      return false;
    } finally {
      this.#asking -= 1;
    }
    const newer = this.#join.arrived(answer.known);
    if (newer === null) return true;
    show(change ? newer.reduce((value, { event }) => change(value, event), answer.value) : answer.value);
    return change || !newer.length || this.#asking > 0 ? true : await this.refresh();
  }

  /** Takes an event; returns whether it was news. */
  hear(event: E, id: number | null): boolean {
    const { change, now, show } = this.hooks;
    if (!this.#join.hear({ id, event })) return false;
    if (change && now) show(change(now(), event));
    else if (!this.#asking) void this.refresh();
    return true;
  }

  /** The stream begins at this event. */
  follow(last: number): void {
    this.#join.follow(last);
  }
}
