/**
 * How many tokens a second are written at this moment, by all models together? Pure.
 *
 * The server tells how many bytes of each answer have come, four times a second, and how many tokens an answer had once
 * it is over. So each answer teaches how many bytes a token of its model takes, and the next is counted while it comes.
 */
import type { ActivityRow, Flight } from '../api/types';

/** How far back the bytes of an answer are looked at, in milliseconds. */
const WINDOW_MS = 2500;
/** A row and a request are the same when they came within so many seconds. */
const SAME_SECONDS = 0.05;
const REMEMBERED = 100;

export class Pulse {
  #seen = new Map<number, { model: string; points: [number, number][] }>();
  #over: Flight[] = [];
  #bytesPerToken = new Map<string, number>();

  /** Take news of a request. */
  heard(flight: Flight, nowMs: number): void {
    if (flight.state === 'finished') {
      this.#seen.delete(flight.id);
      this.#over = [...this.#over, flight].slice(-REMEMBERED);
    } else if (flight.state === 'streaming') {
      const seen = this.#seen.get(flight.id) ?? { model: flight.model, points: [] };
      seen.points.push([nowMs, flight.response_bytes]);
      // One point before the window stays: bytes are counted from it on.
      while (seen.points.length > 2 && seen.points[1]![0] < nowMs - WINDOW_MS) seen.points.shift();
      this.#seen.set(flight.id, seen);
    }
  }

  /** Take what is kept of a request that is over. */
  learn({ model, at, stream, completion_tokens: tokens }: ActivityRow): void {
    if (!stream || !tokens) return;
    const flight = this.#over.find((each) => each.model === model && Math.abs(each.arrived_at - at) < SAME_SECONDS);
    if (flight) this.#bytesPerToken.set(model, flight.response_bytes / tokens);
  }

  /** Forget the requests that are not in flight any more. */
  keepOnly(ids: ReadonlySet<number>): void {
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
  }

  /** Tokens a second; null while a model writes that has not taught yet: how fast it was before is not how fast it is. */
  rate(nowMs: number): number | null {
    let sum = 0;
    for (const { model, points } of this.#seen.values()) {
      const each = this.#bytesPerToken.get(model);
      if (!each) return null;
      const [from, to] = [points[0]!, points.at(-1)!];
      const seconds = Math.max(nowMs - from[0], 250) / 1000;
      sum += (to[1] - from[1]) / seconds / each;
    }
    return sum;
  }
}
