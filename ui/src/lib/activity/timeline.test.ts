import { expect, test } from 'vitest';
import { swap } from '../../testing/values';
import { lanes, ticks } from './timeline';

test('a load is followed by the time in which the model stays loaded', () => {
  const a = swap(
    { drain_seconds: 10, load_seconds: 20, first_token_seconds: 5 },
    { model: 'a', at: 100, ended_at: 180 },
  );
  const b = swap({ stop_seconds: 10, load_seconds: 10 }, { model: 'b', at: 170 });
  const told = lanes([b, a], 100, 200).map(({ model, spans }) => [
    model,
    ...spans.map((span) => `${span.kind} ${span.left}+${span.width}`),
  ]);
  expect(told).toEqual([
    ['a', 'drain_seconds 0+10', 'load_seconds 10+20', 'loaded 30+50'],
    ['b', 'stop_seconds 70+10', 'load_seconds 80+10', 'loaded 90+10'],
  ]);
});

test('it is told why what was loaded has ended', () => {
  const because = 'unloaded for b: b takes 9.0 GiB of gpu0, where 2.0 GiB were free';
  const a = swap({ load_seconds: 20 }, { model: 'a', at: 100, ended_at: 180, ended_because: because });
  const b = swap({ load_seconds: 10 }, { model: 'b', at: 180 });
  const ends = lanes([b, a], 100, 200).map(({ spans }) => spans.map((span) => span.end));
  expect(ends).toEqual([
    ['', because],
    ['', ''],
  ]);
});

test('a load that was cancelled is there, and was never loaded', () => {
  const because = 'unloaded for b';
  const more = { model: 'a', at: 100, total_seconds: 40, cancelled: true, ended_at: 140, ended_because: because };
  const [lane] = lanes([swap({ spawn_seconds: 10, load_seconds: 30 }, more)], 100, 200);
  expect(lane?.spans.map((span) => [span.kind, span.seconds, span.end])).toEqual([
    ['spawn_seconds', 10, ''],
    ['load_seconds', 30, ''],
    ['cancelled', 0, because],
  ]);
});

test('what lies outside is cut off, and what failed was never loaded', () => {
  const old = swap({ load_seconds: 5 }, { model: 'old', at: 0, ended_at: 50 });
  const long = swap({ load_seconds: 150 }, { model: 'long', at: 0 });
  const bad = swap({ spawn_seconds: 1 }, { model: 'bad', at: 120, total_seconds: 11, error: 'no' });
  const found = lanes([old, long, bad], 100, 200);
  expect(found.map((lane) => lane.model)).toEqual(['long', 'bad']);
  expect(found[0]?.spans.map((span) => [span.kind, span.left, span.width])).toEqual([
    ['load_seconds', 0, 50],
    ['loaded', 50, 50],
  ]);
  expect(found[1]?.spans.map((span) => [span.kind, span.seconds])).toEqual([
    ['spawn_seconds', 1],
    ['failed', 10],
  ]);
});

test('marks are at round times', () => {
  expect(ticks(1003, 1300)).toEqual([1020, 1080, 1140, 1200, 1260]);
  expect(ticks(0, 3600)).toEqual([0, 900, 1800, 2700, 3600]);
});
