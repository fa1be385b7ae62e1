import { describe, expect, it } from 'vitest';
import type { ActivityRow, Pace, Sample } from '../api/types';
import { until, withNews } from './pace';

const empty: Pace = {
  begins_at: 1000,
  step_seconds: 10,
  tokens_per_second: [0, 0, 0],
  serving: [0, 0, 0],
  waiting: [0, 0, 0],
};
const row = (more: Partial<ActivityRow>) =>
  ({ at: 1000, total_seconds: 10, queue_seconds: 0, load_seconds: 0, completion_tokens: 0, ...more }) as ActivityRow;

describe('an answer', () => {
  it('is where it was answered and waited, and its tokens where they were written', () => {
    const found = withNews(
      empty,
      row({
        at: 1005,
        queue_seconds: 2,
        load_seconds: 3,
        total_seconds: 15,
        completion_tokens: 50,
        tokens_per_second: 10,
      }),
    );
    expect(found.waiting).toEqual([0.5, 0, 0]);
    expect(found.serving).toEqual([0, 1, 0]);
    expect(found.tokens_per_second).toEqual([0, 5, 0]);
  });
  it('that began before the first step counts with what lies in it', () => {
    const found = withNews(empty, row({ at: 990, total_seconds: 20, completion_tokens: 20 }));
    expect([found.serving[0], found.tokens_per_second[0]]).toEqual([1, 1]);
  });
  it('of no time is in its step', () => {
    expect(withNews(empty, row({ at: 1015, total_seconds: 0, completion_tokens: 30 })).tokens_per_second).toEqual([
      0, 3, 0,
    ]);
  });
  it('that ends beyond the last step moves all', () => {
    const found = withNews(empty, row({ at: 1025, total_seconds: 10 }));
    expect([found.begins_at, found.serving]).toEqual([1010, [0, 0.5, 0.5]]);
  });
});

describe('time', () => {
  it('goes on with samples', () => {
    const told = { ...empty, serving: [1, 2, 3] };
    expect(withNews(told, { at: 1029, cpu_percent: 1 } as Sample)).toBe(told);
    const later = withNews(told, { at: 1040, cpu_percent: 1 } as Sample);
    expect([later.begins_at, later.serving]).toEqual([1020, [3, 0, 0]]);
  });
  it('may have gone on for long', () => {
    expect(until({ ...empty, serving: [1, 2, 3] }, 5000)).toMatchObject({ begins_at: 4980, serving: [0, 0, 0] });
  });
});
