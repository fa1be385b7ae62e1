/**
 * How many tokens a second are written at this moment, by all models together? Pure.
 *
 * The server counts the tokens of each answer as they come, and tells it four times a second.
 */
import type { Flight } from '../api/types';

/** How far back an answer is looked at, in milliseconds. */
const WINDOW_MS = 2500;
/** What came within less says little of a second. */
const LEAST_MS = 250;

export class Pulse {
  #seen = new Map<number, [number, number][]>();

  /** Take news of a request. */
  heard({ id, state, tokens }: Flight, nowMs: number): void {
    if (state !== 'streaming') return void this.#seen.delete(id);
    const points = this.#seen.get(id) ?? [];
    points.push([nowMs, tokens]);
    // One point before the window stays: tokens are counted from it on.
    while (points.length > 2 && points[1]![0] < nowMs - WINDOW_MS) points.shift();
    this.#seen.set(id, points);
  }

  /** Forget the requests that are not in flight any more. */
  keepOnly(ids: ReadonlySet<number>): void {
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
  }

  /** Tokens a second. */
  rate(nowMs: number): number {
    let sum = 0;
    for (const points of this.#seen.values()) {
      const [from, to] = [points[0]!, points.at(-1)!];
      sum += (1000 * (to[1] - from[1])) / Math.max(nowMs - from[0], LEAST_MS);
    }
    return sum;
  }
}
