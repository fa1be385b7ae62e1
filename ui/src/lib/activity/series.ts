/** Which points do the charts have? From rows and samples to aligned columns, as uPlot wants them. Pure. */
import type { ActivityRow, Sample, Swap } from '../api/types';

export type Column = (number | null)[];
/** The first column is time in unix seconds, ascending. */
export type Table = [number[], ...Column[]];

export function perRequest(rows: readonly ActivityRow[], value: (row: ActivityRow) => number | null): Table {
  const known = rows.filter((row) => value(row) !== null).sort((a, b) => a.at - b.at);
  return [known.map((row) => row.at), known.map(value)];
}

/** Requests and failures in equal bins, which together are the span in seconds from `from` to `to`. */
export function perTime(rows: readonly ActivityRow[], [from, to]: readonly [number, number], bins = 48): Table {
  if (!rows.length) return [[], [], []];
  const width = (to - from) / bins;
  const good: number[] = Array.from({ length: bins }, () => 0);
  const bad = [...good];
  for (const row of rows) {
    const bin = Math.max(0, Math.min(bins - 1, Math.floor((row.at - from) / width)));
    const counts = failed(row) ? bad : good;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  // Nothing is drawn for zero, not even a line on the axis.
  const drawn = (counts: number[]): Column => counts.map((each) => each || null);
  return [good.map((_, bin) => from + (bin + 0.5) * width), drawn(good), drawn(bad)];
}

/** Whoever stops an answer has not seen it fail. */
export function stopped(row: ActivityRow): boolean {
  return row.error === 'the client left';
}

export function failed(row: ActivityRow): boolean {
  if (stopped(row)) return false;
  return row.error !== null || row.status >= 400 || row.status === 0;
}

const MODELS_CHARTED = 4;

/** Memory in use in GiB: the machine's, each GPU's, and that of the models that had most of it. */
export function memory(samples: readonly Sample[]): { table: Table; names: string[] } {
  const gib = (bytes: number) => bytes / 2 ** 30;
  const gpus = samples.at(-1)?.gpus ?? [];
  const most = new Map<string, number>();
  for (const one of samples)
    for (const [id, used] of Object.entries(one.models)) most.set(id, Math.max(used, most.get(id) ?? 0));
  const largest = [...most].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const models = largest.slice(0, MODELS_CHARTED).map(([id]) => id);
  const columns: Column[] = [
    samples.map((one) => gib(one.memory_total_bytes - one.memory_available_bytes)),
    ...gpus.map(({ index }) =>
      samples.map((one) => {
        const gpu = one.gpus.find((each) => each.index === index);
        return gpu?.total_bytes == null || gpu.free_bytes == null ? null : gib(gpu.total_bytes - gpu.free_bytes);
      }),
    ),
    ...models.map((id) => samples.map((one) => (one.models[id] === undefined ? null : gib(one.models[id])))),
  ];
  const names = ['machine', ...gpus.map((gpu) => gpu.name), ...models];
  return { table: [samples.map((one) => one.at), ...columns], names };
}

const DECADES = 16;

/** How far ticks may be from each other, ascending: nothing below the least that their words tell apart. */
export function increments(least: number): number[] {
  const decades = Array.from({ length: DECADES }, (_, power) => least * 10 ** power);
  return decades.flatMap((decade) => [1, 2, 5].map((each) => Number((each * decade).toPrecision(6))));
}

export interface Phase {
  key: keyof Swap['phases'];
  label: string;
  colour: string;
}

export const PHASES: Phase[] = [
  { key: 'queued_seconds', label: 'other loads first', colour: 'var(--bar-grey)' },
  { key: 'drain_seconds', label: 'answers under way end', colour: 'var(--bar-violet)' },
  { key: 'stop_seconds', label: 'stopping', colour: 'var(--bar-red)' },
  { key: 'spawn_seconds', label: 'starting the process', colour: 'var(--bar-blue)' },
  { key: 'load_seconds', label: 'loading', colour: 'var(--bar-amber)' },
  { key: 'restore_seconds', label: 'bringing conversations back', colour: 'var(--accent)' },
  { key: 'first_token_seconds', label: 'until the first answer began', colour: 'var(--bar-green)' },
];

export interface Bar extends Phase {
  seconds: number;
  /** Left edge and width in percent of the longest swap. */
  left: number;
  width: number;
}

export function bars(swap: Swap, longest: number): Bar[] {
  let before = 0;
  return PHASES.flatMap((phase) => {
    const seconds = swap.phases[phase.key] ?? 0;
    if (seconds <= 0) return [];
    const bar = { ...phase, seconds, left: (before / longest) * 100, width: (seconds / longest) * 100 };
    before += seconds;
    return [bar];
  });
}

export function lengthOf(swap: Swap): number {
  return PHASES.reduce((sum, { key }) => sum + (swap.phases[key] ?? 0), 0);
}

/** The part of a swap that took longest, in a sentence. */
export function explanation(swap: Swap, said: (seconds: number) => string): string {
  const parts = bars(swap, 1).sort((a, b) => b.seconds - a.seconds);
  const [most] = parts;
  const whom = swap.evicted.length ? ` ${swap.evicted.join(', ')}` : '';
  if (!most) return 'It took no time.';
  const what =
    most.key === 'stop_seconds'
      ? `stopping${whom}`
      : most.key === 'drain_seconds'
        ? `waiting for answers of${whom}`
        : most.label;
  return parts.length === 1 ? `All of it was ${what}.` : `Most of it was ${what}: ${said(most.seconds)}.`;
}
