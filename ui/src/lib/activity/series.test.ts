import { expect, test } from 'vitest';
import { rate } from '../format';
import { row, swap } from '../../testing/values';
import { PHASES, bars, explanation, increments, lengthOf, memory, perRequest, perTime } from './series';

const UNTOLD = { busy_percent: null, temperature_celsius: null, power_watts: null };

test('only rows that know the value, in the order of time', () => {
  const rows = [row(3, { tokens_per_second: 30 }), row(2), row(1, { tokens_per_second: 10 })];
  expect(perRequest(rows, (each) => each.tokens_per_second)).toEqual([
    [1, 3],
    [10, 30],
  ]);
});

test('every request is counted once, failures apart', () => {
  const rows = [0, 10, 59, 61, 3600]
    .map((at) => row(at))
    .concat(row(3601, { status: 502 }), row(5, { status: 0 }), row(6, { error: 'left' }));
  const [times, good, bad] = perTime(rows, [0, 3601]);
  const sum = (column: (number | null)[]) => column.reduce<number>((all, each) => all + (each ?? 0), 0);
  expect([sum(good!), sum(bad!)]).toEqual([5, 3]);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(perTime([], [0, 60])).toEqual([[], [], []]);
});

test('requests are drawn where they were, on the axis that all charts have, however short it is', () => {
  const [from, to] = [1000, 1060];
  const [times, good] = perTime([row(1000), row(1012), row(1060)], [from, to]);
  const drawn = times.filter((_, bin) => good![bin]);
  expect(drawn).toHaveLength(3);
  for (const [index, at] of [1000, 1012, 1060].entries()) expect(Math.abs(drawn[index]! - at)).toBeLessThan(1);
  for (const each of times) expect(each >= from && each <= to).toBe(true);
});

test('memory in use, of the machine, of each GPU that can tell, and of the largest models', () => {
  const gib = 2 ** 30;
  const sample = (at: number, free: number | null, models: Record<string, number> = {}) => ({
    at,
    cpu_percent: 0,
    core_percents: [],
    memory_total_bytes: 8 * gib,
    memory_available_bytes: 6 * gib,
    swap_total_bytes: 0,
    swap_used_bytes: 0,
    load_average: [0, 0, 0] as [number, number, number],
    network_received_bytes: 0,
    network_sent_bytes: 0,
    gpus: [{ index: 0, name: 'G', total_bytes: 4 * gib, free_bytes: free, ...UNTOLD }],
    models,
  });
  expect(memory([sample(1, 3 * gib), sample(2, null)])).toEqual({
    table: [
      [1, 2],
      [2, 2],
      [1, null],
    ],
    names: ['machine', 'G'],
  });
  const used = memory([sample(1, null, { a: gib, b: gib / 2 }), sample(2, null, { b: 3 * gib })]);
  expect(used.names).toEqual(['machine', 'G', 'b', 'a']);
  expect(used.table.slice(3)).toEqual([
    [0.5, 3],
    [1, null],
  ]);
});

test('the phases of a swap follow each other without gaps', () => {
  const one = swap({ drain_seconds: 3, stop_seconds: 1, load_seconds: 6 });
  expect(lengthOf(one)).toBe(10);
  expect(bars(one, 20).map((bar) => [bar.key, bar.left, bar.width])).toEqual([
    ['drain_seconds', 0, 15],
    ['stop_seconds', 15, 5],
    ['load_seconds', 20, 30],
  ]);
});

test('the longest part is the explanation', () => {
  const said = (seconds: number) => `${seconds} s`;
  expect(explanation(swap({ drain_seconds: 3, load_seconds: 1 }, { evicted: ['b'] }), said)).toBe(
    'Most of it was waiting for answers of b: 3 s.',
  );
  expect(explanation(swap({ load_seconds: 1 }), said)).toBe('All of it was loading.');
  expect(explanation(swap({}), said)).toBe('It took no time.');
});

test('each phase of a swap has a colour of its own', () => {
  expect(new Set(PHASES.map(({ colour }) => colour)).size).toBe(PHASES.length);
});

test('ticks are never closer than their words can tell', () => {
  expect(increments(1).slice(0, 5)).toEqual([1, 2, 5, 10, 20]);
  expect(increments(0.1).slice(0, 4)).toEqual([0.1, 0.2, 0.5, 1]);
  const close = Array.from({ length: 5 }, (_, step) => rate(step * increments(0.1)[0]!));
  expect(close).toEqual(['0', '0.1', '0.2', '0.3', '0.4']);
  const counts = increments(1).slice(0, 9);
  expect(counts.every(Number.isInteger)).toBe(true);
});
