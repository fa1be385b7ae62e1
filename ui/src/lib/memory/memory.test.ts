import { expect, test } from 'vitest';
import type { Device, Model } from '../api/types';
import { device, model } from '../../testing/values';
import { colourOf, outcome, segments, sizes, summary, takenBy, toldAndTaken, unloadingWords } from './memory';

const GIB = 2 ** 30;
const on = (id: string, size: number, source: Device['models'][number]['source'] = 'measured') => ({
  model: id,
  bytes: size * GIB,
  source,
});
const takes = (devices: Record<string, number>, source: Model['memory']['source'] = 'measured'): Partial<Model> => {
  const found = Object.fromEntries(Object.entries(devices).map(([id, size]) => [id, size * GIB]));
  return { memory: { devices: found, source, expected: null, measured: null } };
};

test('a bar has models, what is free, other programs and what is kept, as in `claracore ps`', () => {
  const card = device('gpu0', 24 * GIB, {
    models: [on('a', 9), on('b', 2, 'estimated')],
    other_bytes: GIB,
    reserved_bytes: GIB / 2,
  });
  expect(segments(card).map(({ text }) => text)).toEqual([
    'a 9.0 GiB (measured)',
    'b 2.0 GiB (estimated)',
    'free 11.5 GiB',
    'other programs 1.0 GiB',
    'kept free 512 MiB',
  ]);
  expect(segments(card).reduce((sum, each) => sum + each.bytes, 0)).toBe(24 * GIB);
  expect(summary(card)).toBe('other programs 1.0 GiB, kept free 512 MiB, free 11.5 GiB of 24.0 GiB');
});

test('what no model may use by the budget is neither free nor used', () => {
  const card = device('ram', 16 * GIB, { models: [on('a', 3)], other_bytes: 4 * GIB, budget_bytes: 5 * GIB });
  expect(segments(card).map(({ text }) => text)).toEqual([
    'a 3.0 GiB (measured)',
    'free 2.0 GiB',
    'beyond the budget 7.0 GiB',
    'other programs 4.0 GiB',
  ]);
  expect(summary(card)).toBe('other programs 4.0 GiB, beyond the budget 7.0 GiB, free 2.0 GiB of 16.0 GiB');
});

test('a model of which nothing is known is seen; more than there is leaves nothing free', () => {
  const unknown = device('ram', 8 * GIB, { models: [on('a', 0, 'unknown')] });
  expect(segments(unknown)[0]).toMatchObject({ kind: 'model', model: 'a', text: 'a ? (unknown)', bytes: 0 });
  const over = device('ram', 8 * GIB, { models: [on('a', 7)], other_bytes: 3 * GIB });
  expect(segments(over).map(({ text }) => text)).toEqual(['a 7.0 GiB (measured)', 'other programs 3.0 GiB']);
});

test('neighbours in the list of models have different colours, which do not depend on who is loaded', () => {
  const models = ['a', 'b', 'c'].map((id) => model(id));
  expect(new Set(models.map(({ id }) => colourOf(id, models))).size).toBe(3);
  expect(colourOf('gone', models)).toBe(colourOf('a', models));
});

test('what a model takes is its memory on all devices, else what its process has', () => {
  expect(takenBy(model('a', { ...takes({ gpu0: 3, ram: 1 }), memory_bytes: 5 }))).toBe(4 * GIB);
  expect(takenBy(model('a', { memory_bytes: 5 }))).toBe(5);
  expect(takenBy(model('a'))).toBe(null);
});

test('bytes by device in words', () => {
  expect(sizes({ gpu0: 8 * GIB, ram: GIB / 2, gpu1: 0 })).toBe('8.0 GiB of gpu0 and 512 MiB of ram');
});

const CARD = device('gpu0', 24 * GIB, { models: [on('old', 9)], other_bytes: 2 * GIB, reserved_bytes: GIB });
const OLD = model('old', { state: 'ready', load_seconds: 12, ...takes({ gpu0: 9, ram: 1 }) });

function told(more: Partial<Model>, devices = [CARD], others: Model[] = [OLD], decides = true) {
  const groups = { base: { swap: false, exclusive: false, persistent: true } };
  const found = outcome(model('new', more), { models: others, groups, report: { decides, devices } });
  return found && `${found.tone}: ${found.text}`;
}

test('before a load: it fits', () => {
  expect(told(takes({ gpu0: 12 }))).toBe('good: Fits: takes 12.0 GiB of gpu0 (measured)');
  expect(told(takes({}, 'declared'))).toBe('good: Fits: takes nothing of this machine (declared)');
  expect(told({})).toBe('good: Runs alone: it is not known what it takes');
  expect(told({ ...takes({ gpu0: 12 }), state: 'ready' })).toBe(null);
});

test('before a load: who goes, what that frees, and how long it takes to load again', () => {
  const wants = { ...takes({ gpu0: 14 }), would_unload: ['old'] };
  expect(told(wants)).toBe('others: Will unload old (frees 10.0 GiB, 12 s to load again)');
  expect(told(wants, [CARD], [{ ...OLD, load_seconds: null, serving: 1 }])).toBe(
    'others: Will unload old once it has answered (frees 10.0 GiB)',
  );
  const mute = model('mute', { state: 'ready' });
  expect(told({ ...wants, would_unload: ['mute', 'old'] }, [CARD], [mute, OLD])).toBe(
    'others: Will unload mute and old (frees 10.0 GiB, 12 s to load again)',
  );
  expect(told({ would_unload: ['mute', 'old', 'mute'] }, [CARD], [mute, OLD])).toBe(
    'others: Will unload mute, old (frees 10.0 GiB, 12 s to load again) and mute; ' +
      'it is not known what it takes, so it runs alone',
  );
});

test('before a load: a pin that was set or taken since the server has said who would go counts', () => {
  const goes = { ...takes({ gpu0: 14 }), would_unload: ['old'] };
  expect(told(goes, [CARD], [{ ...OLD, pinned: true }])).toBe('bad: Does not fit beside old, which is pinned');
  const stays = { ...takes({ gpu0: 14 }), in_the_way: ['old'], would_not_fit: 'the server says so' };
  expect(told(stays, [CARD], [OLD])).toMatch(/^others: Will unload old/);
});

test('before a load: who goes for nobody is named', () => {
  const wants = { ...takes({ gpu0: 14 }), in_the_way: ['old'], would_not_fit: 'the server says so' };
  expect(told(wants, [CARD], [{ ...OLD, pinned: true }])).toBe('bad: Does not fit beside old, which is pinned');
  expect(told(wants, [CARD], [{ ...OLD, group: 'base' }])).toBe(
    'bad: Does not fit beside old, which stays: its group base is persistent',
  );
});

test('before a load: it never fits, or not now, with the numbers', () => {
  expect(told({ ...takes({ gpu0: 30 }), would_not_fit: 'the server says so' })).toBe(
    'bad: Never fits: takes 30.0 GiB of gpu0, where it can have 23.0 GiB (24.0 GiB in all, 1.0 GiB kept free)',
  );
  expect(told(takes({ gpu0: 22 }))).toBe(
    'bad: Does not fit now: takes 22.0 GiB of gpu0, where it can have 21.0 GiB ' +
      '(24.0 GiB in all, 1.0 GiB kept free, 2.0 GiB used by other programs)',
  );
  const granted = device('ram', 16 * GIB, { budget_bytes: 4 * GIB });
  expect(told(takes({ ram: 6 }), [granted])).toBe(
    'bad: Never fits: takes 6.0 GiB of ram, where it can have 4.0 GiB (16.0 GiB in all, 4.0 GiB granted to models)',
  );
});

test('what the server has not looked at yet is seen from what is free', () => {
  expect(told(takes({ gpu0: 14 }))).toBe(
    'others: Others have to go: takes 14.0 GiB of gpu0, where it can have 12.0 GiB',
  );
});

test('where groups decide, only what goes is told', () => {
  expect(told({ ...takes({ gpu0: 30 }), would_unload: ['old'] }, [CARD], [OLD], false)).toBe(
    'others: Will unload old (frees 10.0 GiB, 12 s to load again)',
  );
  expect(told(takes({ gpu0: 30 }), [CARD], [OLD], false)).toBe(null);
  const around = { models: [OLD], groups: {}, report: null };
  expect(outcome(model('new', { would_not_fit: 'new takes 9 GiB' }), around)).toEqual({
    tone: 'bad',
    text: 'new takes 9 GiB',
  });
});

test('what was told of a model and what it took, by device', () => {
  const memory = {
    devices: { gpu0: 8 * GIB },
    source: 'declared' as const,
    expected: { ram: GIB, gpu0: 10 * GIB, gpu9: 0 },
    measured: { ram: GIB, gpu0: 9 * GIB },
  };
  const devices = [device('ram', 16 * GIB), CARD];
  expect(toldAndTaken(model('a', { memory }), devices)).toEqual([
    { device: 'ram', declared: 0, estimated: GIB, measured: GIB, off: null },
    { device: 'gpu0', declared: 8 * GIB, estimated: 10 * GIB, measured: 9 * GIB, off: 0.125 },
  ]);
  const seen = { ...memory, source: 'measured' as const, expected: { ram: 2 * GIB } };
  expect(toldAndTaken(model('a', { memory: seen }), devices)[0]).toMatchObject({ declared: null, off: -0.5 });
  expect(toldAndTaken(model('a'), devices)).toEqual([]);
});

test('unloading is explained before it is done', () => {
  const known = { ...takes({ gpu0: 9, ram: 1 }), state: 'ready' as const, load_seconds: 12, serving: 1, waiting: 1 };
  expect(unloadingWords(model('a', known))).toBe(
    'Frees 9.0 GiB of gpu0 and 1.0 GiB of ram. 2 requests of it end first. Loading it took 12 s.',
  );
  expect(unloadingWords(model('a', { state: 'ready' }))).toBe('');
});
