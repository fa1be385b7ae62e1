/**
 * How do a snapshot and the events that change it become one? A snapshot names the last event that it knows. What is
 * heard meanwhile and newer is put on top of it, what is older is not. Knows nothing of what they mean.
 */

export interface Numbered {
  /** The id of the event; null where a server gives none. */
  id: number | null;
}

export class Join<E extends Numbered> {
  #known = 0;
  #asked = 0;
  #heard: E[] = [];

  /** To be called before a snapshot is asked for. */
  begin(): void {
    if (this.#asked === 0) this.#heard = [];
    this.#asked += 1;
  }

  /** The stream begins at this event: one that is older than what is known comes from a server that began anew. */
  follow(last: number): void {
    if (last < this.#known) this.#known = 0;
  }

  /** Whether an event is news to what is shown; it is kept for the snapshots under way. */
  hear(event: E): boolean {
    if (this.#asked > 0) this.#heard.push(event);
    return event.id === null || event.id > this.#known;
  }

  /** A snapshot came that knows all events up to `known`: which are to be put on top? Null: one that knows more is shown. */
  arrived(known: number): E[] | null {
    this.#asked -= 1;
    if (known < this.#known) return null;
    this.#known = known;
    return this.#heard.filter((event) => event.id === null || event.id > known);
  }

  /** No snapshot came. */
  failed(): void {
    this.#asked -= 1;
  }
}
