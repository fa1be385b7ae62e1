/**
 * What does one more answer change about the pace of the last time? As the server reckons it (`host/activity/pace.py`), so
 * that it need not be asked again: tokens where they were written, requests where they waited and were answered. Pure.
 */
import type { ActivityRow, Pace, Sample } from '../api/types';

/** With what is known of an answer, or of the time that goes on (unix seconds, by the server's clock). */
export function withNews(pace: Pace, news: ActivityRow | Sample): Pace {
  return 'cpu_percent' in news ? until(pace, news.at) : withAnswer(pace, news);
}

/** The same number of steps, of which the last one holds `now`. */
export function until(pace: Pace, now: number): Pace {
  const length = pace.serving.length;
  const beyond = Math.floor((now - pace.begins_at) / pace.step_seconds) - length + 1;
  if (!length || beyond <= 0) return pace;
  const moved = (steps: readonly number[]) => [...steps.slice(beyond), ...Array(Math.min(beyond, length)).fill(0)];
  return {
    ...pace,
    begins_at: pace.begins_at + beyond * pace.step_seconds,
    tokens_per_second: moved(pace.tokens_per_second),
    serving: moved(pace.serving),
    waiting: moved(pace.waiting),
  };
}

function withAnswer(before: Pace, row: ActivityRow): Pace {
  const served = row.at + (row.queue_seconds ?? 0) + (row.load_seconds ?? 0);
  const ended = row.at + row.total_seconds;
  const pace = until(before, ended);
  const [tokens, speed] = [row.completion_tokens ?? 0, row.tokens_per_second];
  const begun = speed ? Math.max(served, ended - tokens / speed) : served;
  return {
    ...pace,
    waiting: spread(pace, pace.waiting, row.at, Math.min(served, ended), served - row.at),
    serving: spread(pace, pace.serving, served, ended, ended - served),
    tokens_per_second: tokens ? spread(pace, pace.tokens_per_second, begun, ended, tokens) : pace.tokens_per_second,
  };
}

/** With an amount that came evenly between two moments; what lies outside of the steps is left out. */
function spread(pace: Pace, steps: number[], begun: number, ended: number, amount: number): number[] {
  const [first, last] = [begun, ended].map((at) => (at - pace.begins_at) / pace.step_seconds) as [number, number];
  const share = (step: number) => {
    if (last <= first) return Math.floor(last) === step ? 1 : 0;
    return Math.max(0, Math.min(last, step + 1) - Math.max(first, step)) / (last - first);
  };
  return steps.map((value, step) => value + (amount * share(step)) / pace.step_seconds);
}
