/** What is going on at this moment? Samples of the machine and the pace of answers, for whoever shows them. */
import type { Flight, Pace, Sample } from '../api/types';
import { live } from '../live.svelte';
import { PACE_EVENTS, followedPace, followedSamples } from './followed';
import { Pulse } from './pulse';

const BEAT_MS = 500;
/** What follows it on a page is not held up for longer. */
const PATIENCE_MS = 800;
const SPAN = { seconds: 900, steps: 45 };
/** Sampling is every few seconds: the last one is among these. */
const SAMPLED_SECONDS = 60;

class Moment {
  sample: Sample | null = $state.raw(null);
  pace: Pace | null = $state.raw(null);
  tokensPerSecond = $state(0);
  /** Whether it need not be waited for any more. */
  settled = $state(false);

  #pace = followedPace(
    SPAN,
    () => this.pace,
    (pace) => (this.pace = pace),
  );
  #samples = followedSamples(
    () => (this.sample ? [this.sample] : []),
    (samples) => (this.sample = samples.at(-1) ?? this.sample),
    SAMPLED_SECONDS,
  );
  #pulse = new Pulse();
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
    const pulse = this.#pulse;
    pulse.keepOnly(new Set());
    const beat = setInterval(() => {
      pulse.keepOnly(new Set(live.flights.map((each) => each.id)));
      this.tokensPerSecond = pulse.rate(Date.now());
    }, BEAT_MS);
    const patience = setTimeout(() => (this.settled = true), PATIENCE_MS);
    let answers = 0;
    const asked = () => {
      if ((answers += 1) === 2) this.settled = true;
    };
    const ends = [
      live.on<Flight>('request', (flight) => pulse.heard(flight, Date.now())),
      live.follow(PACE_EVENTS, this.#pace, asked),
      live.follow(['performance'], this.#samples, asked),
    ];
    this.#end = () => {
      clearInterval(beat);
      clearTimeout(patience);
      ends.forEach((end) => end());
    };
  }
}

export const moment = new Moment();
