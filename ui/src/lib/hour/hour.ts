/** Which points do the charts of the last hour have? Pure; times are unix seconds. */
import type { Column, Table } from '../activity/series';
import type { Pace, Sample } from '../api/types';

export const HOUR_SECONDS = 3600;
const SHORTEST_SECONDS = 300;
/** A pause in the samples longer than this is drawn as one. */
const LONGEST_REST = 90;

/** From when to when is drawn: the hour, or what there is of it where the server has just begun. */
export function spanOf(until: number, first: number): [number, number] {
  return [Math.max(until - HOUR_SECONDS, Math.min(first, until - SHORTEST_SECONDS)), until];
}

export interface Drawn {
  table: Table;
  /** What each column after the first is. */
  names: string[];
}

/** GiB in use of RAM and of each graphics device that tells it. */
export function memoryInUse(samples: readonly Sample[]): Drawn {
  const gib = (bytes: number) => bytes / 2 ** 30;
  const cards = cardsOf(samples).filter(({ total_bytes }) => total_bytes !== null);
  return drawn(samples, [
    ['RAM', (one) => gib(one.memory_total_bytes - one.memory_available_bytes)],
    ...cards.map(({ index, name }): [string, Pick] => [
      label(index, name, cards.length),
      (one) => {
        const card = one.gpus.find((each) => each.index === index);
        return card?.total_bytes == null || card.free_bytes == null ? null : gib(card.total_bytes - card.free_bytes);
      },
    ]),
  ]);
}

/** Percent in use of the processor and of each graphics device that tells it. */
export function load(samples: readonly Sample[]): Drawn {
  const cards = cardsOf(samples).filter(({ index }) =>
    samples.some((one) => one.gpus.some((each) => each.index === index && each.busy_percent !== null)),
  );
  return drawn(samples, [
    ['Processor', (one) => one.cpu_percent],
    ...cards.map(({ index, name }): [string, Pick] => [
      label(index, name, cards.length),
      (one) => one.gpus.find((each) => each.index === index)?.busy_percent ?? null,
    ]),
  ]);
}

type Pick = (sample: Sample) => number | null;

function drawn(samples: readonly Sample[], columns: [string, Pick][]): Drawn {
  const whole = withRests(samples);
  const picked = columns.map(([, pick]): Column => whole.map(({ sample }) => (sample ? pick(sample) : null)));
  return { table: [whole.map(({ at }) => at), ...picked], names: columns.map(([name]) => name) };
}

/** Between two samples that are far from each other is one of nothing: no line goes over it. */
function withRests(samples: readonly Sample[]): { at: number; sample: Sample | null }[] {
  return samples.flatMap((sample, index) => {
    const before = samples[index - 1];
    const rests = before && sample.at - before.at > LONGEST_REST;
    return [...(rests ? [{ at: (before.at + sample.at) / 2, sample: null }] : []), { at: sample.at, sample }];
  });
}

const cardsOf = (samples: readonly Sample[]) => samples.at(-1)?.gpus ?? [];
const label = (index: number, name: string, among: number) => (among > 1 ? `${index}: ${name}` : name);

const middles = ({ begins_at: from, step_seconds: step, serving }: Pace) =>
  serving.map((_, index) => from + (index + 0.5) * step);

export function tokens(pace: Pace): Drawn {
  return { table: [middles(pace), [...pace.tokens_per_second]], names: ['tokens/s'] };
}

/** How many were answered at once, and how many waited, on the average of each step. */
export function requests(pace: Pace): Drawn {
  return { table: [middles(pace), [...pace.serving], [...pace.waiting]], names: ['answered at once', 'waiting'] };
}
