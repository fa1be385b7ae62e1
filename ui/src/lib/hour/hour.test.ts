import { describe, expect, it } from 'vitest';
import type { Sample } from '../api/types';
import { load, memoryInUse, requests, spanOf, tokens } from './hour';

const GIB = 2 ** 30;
const card = (index: number, busy: number | null, free = 3): Sample['gpus'][number] => ({
  index,
  name: `Card`,
  total_bytes: 4 * GIB,
  free_bytes: free * GIB,
  busy_percent: busy,
  temperature_celsius: null,
  power_watts: null,
});
const sample = (at: number, gpus: Sample['gpus'] = []): Sample => ({
  at,
  cpu_percent: 25,
  core_percents: [],
  memory_total_bytes: 8 * GIB,
  memory_available_bytes: 6 * GIB,
  swap_total_bytes: 0,
  swap_used_bytes: 0,
  load_average: [0, 0, 0],
  network_received_bytes: 0,
  network_sent_bytes: 0,
  gpus,
  models: {},
});

describe('the last hour', () => {
  it('has memory of each device', () => {
    const told = memoryInUse([sample(10, [card(0, 1), card(1, 2, 1)]), sample(20, [card(0, 1), card(1, 2, 1)])]);
    expect(told.names).toEqual(['RAM', '0: Card', '1: Card']);
    expect(told.table).toEqual([
      [10, 20],
      [2, 2],
      [1, 1],
      [3, 3],
    ]);
  });
  it('has the load of those that tell it', () => {
    const told = load([sample(10, [card(0, null), card(1, 50)])]);
    expect(told).toEqual({ names: ['Processor', 'Card'], table: [[10], [25], [50]] });
  });
  it('draws no line over a time of which nothing is known', () => {
    expect(load([sample(10), sample(1010)]).table).toEqual([
      [10, 510, 1010],
      [25, null, 25],
    ]);
  });
  it('is drawn as far as it is known, and five minutes at least', () => {
    expect(spanOf(10_000, 9_990)).toEqual([9700, 10_000]);
    expect(spanOf(10_000, 9_000)).toEqual([9000, 10_000]);
    expect(spanOf(10_000, 1)).toEqual([6400, 10_000]);
  });
  it('has tokens and requests by steps', () => {
    const pace = { begins_at: 100, step_seconds: 10, tokens_per_second: [1, 2], serving: [0, 3], waiting: [1, 0] };
    expect(tokens(pace).table).toEqual([
      [105, 115],
      [1, 2],
    ]);
    expect(requests(pace).table).toEqual([
      [105, 115],
      [0, 3],
      [1, 0],
    ]);
  });
});
