/** What is going on at this moment? Samples of the machine and the pace of answers, for whoever shows them. */
import { json } from '../api/client';
import type { ActivityRow, Flight, Pace, Sample } from '../api/types';
import { live } from '../live.svelte';
import { Pulse } from './pulse';

const BEAT_MS = 500;
/** What follows it on a page is not held up for longer. */
const PATIENCE_MS = 800;
const PACE = '/api/pace?seconds=900&steps=45';

class Moment {
  sample: Sample | null = $state.raw(null);
  pace: Pace | null = $state.raw(null);
  tokensPerSecond = $state(0);
  /** Whether it need not be waited for any more. */
  settled = $state(false);

  #watchers = 0;
  #end: () => void = () => {};

  /** Keeps all of it true until the function is called that this returns. */
  watch(): () => void {
    if (!this.#watchers++) this.#begin();
    return () => {
      if (!--this.#watchers) this.#end();
    };
  }

  #begin(): void {
    const pulse = new Pulse();
    const beat = setInterval(() => {
      pulse.keepOnly(new Set(live.flights.map((each) => each.id)));
      this.tokensPerSecond = pulse.rate(Date.now(), live.models);
    }, BEAT_MS);
    const patience = setTimeout(() => (this.settled = true), PATIENCE_MS);
    const ends = [
      live.on<Flight>('request', (flight) => pulse.heard(flight, Date.now())),
      live.on<ActivityRow>('activity', (row) => pulse.learn(row)),
      live.on<Sample>('performance', (sample) => {
        this.sample = sample;
        void this.#lookAtPace();
      }),
      live.on('resync', () => void this.#lookAtPace()),
    ];
    this.#end = () => {
      clearInterval(beat);
      clearTimeout(patience);
      ends.forEach((end) => end());
    };
    void Promise.allSettled([this.#lookAtPace(), this.#lookAtSample()]).then(() => (this.settled = true));
  }

  async #lookAtPace(): Promise<void> {
    if (document.hidden) return;
    try {
      this.pace = await json<Pace>(PACE);
    } catch {
      // The connection says what is wrong; the next look may succeed.
    }
  }

  async #lookAtSample(): Promise<void> {
    const since = Date.now() / 1000 - 60;
    // Sampling can be switched off (503).
    const known = await json<{ samples: Sample[] }>(`/api/performance?after=${since}`).catch(() => null);
    this.sample ??= known?.samples.at(-1) ?? null;
  }
}

export const moment = new Moment();
