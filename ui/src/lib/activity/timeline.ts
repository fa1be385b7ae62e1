/** Who had the machine when? Loads of models as spans on one axis of time. Pure; times are unix seconds. */
import type { Swap } from '../api/types';
import { type Phase, PHASES } from './series';

export interface Span {
  kind: Phase['key'] | 'loaded' | 'failed' | 'cancelled';
  label: string;
  /** Why it ended; nothing while it goes on. */
  end: string;
  colour: string;
  seconds: number;
  /** Left edge and width in percent of the axis. */
  left: number;
  width: number;
}

export interface Lane {
  model: string;
  spans: Span[];
}

const CANCELLED = 'var(--text-3)';
const LOADED = 'var(--bar-loaded)';

/** One lane for each model that was loaded or waited for between `from` and `to`, the first that was first. */
export function lanes(swaps: readonly Swap[], from: number, to: number): Lane[] {
  const found = new Map<string, Span[]>();
  for (const swap of [...swaps].sort((a, b) => a.at - b.at)) {
    const spans = whole(swap, to).flatMap((each) => clipped(each, from, to));
    if (spans.length) found.set(swap.model, [...(found.get(swap.model) ?? []), ...spans]);
  }
  return [...found].map(([model, spans]) => ({ model, spans }));
}

type Stretch = Omit<Span, 'left' | 'width'> & { start: number };

/** The phases until it was ready, then the time in which it stayed loaded. */
function whole(swap: Swap, now: number): Stretch[] {
  let at = swap.at;
  const found: Stretch[] = [];
  for (const { key, label, colour } of PHASES) {
    const seconds = swap.phases[key] ?? 0;
    if (key === 'first_token_seconds' || seconds <= 0) continue;
    found.push({ kind: key, label, end: '', colour, seconds, start: at });
    at += seconds;
  }
  if (swap.error) {
    const seconds = Math.max(0, swap.at + swap.total_seconds - at);
    found.push({ kind: 'failed', label: 'failed', end: '', colour: 'var(--bad)', seconds, start: at });
  } else if (swap.cancelled) {
    const seconds = Math.max(0, swap.at + swap.total_seconds - at);
    const end = swap.ended_because || 'stopped';
    found.push({ kind: 'cancelled', label: 'not ready yet', end, colour: CANCELLED, seconds, start: at });
  } else {
    const seconds = Math.max(0, (swap.ended_at ?? now) - at);
    found.push({ kind: 'loaded', label: 'loaded', end: swap.ended_because ?? '', colour: LOADED, seconds, start: at });
  }
  return found;
}

function clipped({ start, ...stretch }: Stretch, from: number, to: number): Span[] {
  const [begin, end] = [Math.max(start, from), Math.min(start + stretch.seconds, to)];
  if (end < begin) return [];
  const share = (seconds: number) => (seconds / (to - from)) * 100;
  return [{ ...stretch, left: share(begin - from), width: share(end - begin) }];
}

const STEPS = [5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 43200, 86400];

/** Where the axis is marked: at round times, at most `most` of them. */
export function ticks(from: number, to: number, most = 6): number[] {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? 86400;
  const first = Math.ceil(from / step) * step;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, index) => first + index * step);
}
