import { expect, test } from 'vitest';
import type { Model } from './api/types';
import { flight, model } from '../testing/values';
import { differ, groupNote } from './groups';
import { begun, grouped, matches, ttlLeft, waitingFor, withFlight, withModel, withVictims } from './live';

type Wait = NonNullable<Model['waits_for']>;

test('news about a model replace it, new ones find their place', () => {
  const before = [model('a'), model('c')];
  const after = withModel(withModel(before, model('b')), model('a', { state: 'ready' }));
  expect(after.map((each) => `${each.id} ${each.state}`)).toEqual(['a ready', 'b stopped', 'c stopped']);
  expect(before).toHaveLength(2);
});

test('news without memory keep what is known of the same process, not of the one before', () => {
  const before = [model('a', { state: 'ready', pid: 7, memory_bytes: 100 })];
  expect(withModel(before, model('a', { pid: 7 }))[0]?.memory_bytes).toBe(100);
  expect(withModel(before, model('a', { pid: 8 }))[0]?.memory_bytes).toBe(null);
});

test('a finished request leaves', () => {
  const one = withFlight([], flight(1));
  const two = withFlight(one, flight(2));
  expect(withFlight(two, flight(1, { state: 'finished' })).map((each) => each.id)).toEqual([2]);
});

test('groups by name, those without one last; every word must be found somewhere', () => {
  const models = [
    model('z', { group: 'big' }),
    model('a'),
    model('b', { group: 'big', kind: 'vision', aliases: ['eye'] }),
  ];
  expect(grouped(models).map((group) => `${group.name}: ${group.models.map((each) => each.id)}`)).toEqual([
    'big: z,b',
    '(default): a',
  ]);
  expect(models.filter(matches('EYE vision')).map((each) => each.id)).toEqual(['b']);
  expect(models.filter(matches('eye chat'))).toEqual([]);
});

test('the time to unloading runs on between news, and only while nothing is asked', () => {
  const idle = model('a', { state: 'ready', ttl_left_seconds: 60 });
  expect(ttlLeft(idle, 1000, 11_000)).toBe(50);
  expect(ttlLeft(idle, 1000, 100_000)).toBe(0);
  expect(ttlLeft({ ...idle, serving: 1 }, 1000, 11_000)).toBe(null);
  expect(ttlLeft({ ...idle, pinned: true }, 1000, 11_000)).toBe(null);
  expect(ttlLeft({ ...idle, state: 'stopping' }, 1000, 11_000)).toBe(null);
});

test('models are called by their names while one waits', () => {
  const a = model('a', { name: 'Alpha', waits_for: { cause: 'unloading', models: ['b', 'gone'] } });
  const models = [a, model('b', { name: 'Beta' })];
  expect(waitingFor('a', models, [])).toBe('Unloading Beta and gone to make room for Alpha');
});

test('who waits is told for what, as the server says it', () => {
  const say = (more: Partial<Model>, flights = [flight(1)]) => waitingFor('a', [model('a', more)], flights);
  const waits = (cause: Wait['cause'], models: string[] = []) => ({ waits_for: { cause, models } });
  expect(say({ state: 'starting', progress: 0.43, ...waits('loading') })).toBe('Loading a 43 %');
  expect(say({ state: 'starting', progress_message: 'Loading model' })).toBe('Loading a');
  expect(say({ state: 'starting', progress: 0.9, progress_message: 'warming up' })).toBe('Loading a 90 % (warming up)');
  expect(say({ state: 'starting', progress: 0.2, expected_seconds: 8.2 })).toBe('Loading a 20 %, about 8 s');
  expect(say({ state: 'starting', name: 'SmolLM2 135M', progress: 0.47 })).toBe('Loading SmolLM2 135M 47 %');
  expect(say({ ...waits('answers', ['b']), expected_seconds: 8 })).toBe(
    'Queued behind b, which has answers to give, then about 8 s',
  );
  expect(say(waits('loads', ['b']))).toBe('Queued behind b, which is being loaded');
  expect(say(waits('answers', ['b']))).toBe('Queued behind b, which has answers to give');
  expect(say(waits('answers', ['b', 'c']))).toBe('Queued behind b and c, which have answers to give');
  expect(say(waits('turn', ['b']))).toBe('Queued behind b, asked for earlier');
  expect(say(waits('unloading', ['b']))).toBe('Unloading b to make room for a');
  expect(say(waits('memory'))).toBe('Waiting until memory of models that have ended is free');
  expect(say({ state: 'stopping', ...waits('returning') })).toContain('starts again right after');
  expect(say({ state: 'ready' })).toBe('Reading the prompt');
  expect(say({ state: 'ready', ...waits('places') }, [flight(1, { position: 3 })])).toBe(
    'a answers as many requests as it may (place 3 in the queue)',
  );
  expect(say({})).toBe('Starting a');
  expect(waitingFor('a', [], [])).toBe('Waiting for the answer');
});

test('an older answer changes only what would be unloaded', () => {
  const known = [model('a', { state: 'ready' }), model('b')];
  const after = withVictims(known, [model('a', { state: 'starting' }), model('b', { would_unload: ['a'] })]);
  expect(after).toEqual([model('a', { state: 'ready' }), model('b', { would_unload: ['a'] })]);
});

test('a group says its rules and what loading one of it would unload', () => {
  const [a, b] = [model('a', { state: 'ready' }), model('b', { would_unload: ['a'] })];
  const rules = { swap: true, exclusive: true, persistent: false };
  expect(groupNote([a, b], rules)).toBe('one runs at a time; loading another one unloads a');
  expect(groupNote([b])).toBe('loading one unloads a');
  expect(groupNote([a], { swap: false, exclusive: false, persistent: true })).toBe(
    'run together; beside other groups; not unloaded for others',
  );
  expect(groupNote([a], { ...rules, exclusive: false })).toBe('one runs at a time; beside other groups');
});

test('where memory decides, a group says only who stays; each row says what a load would bring about', () => {
  const models = [model('b', { would_unload: ['a'] })];
  const rules = { swap: false, exclusive: false, persistent: false };
  expect(groupNote(models, rules, true)).toBe('');
  expect(groupNote(models, { ...rules, persistent: true }, true)).toBe('not unloaded for others');
});

test('when models of a group would unload different ones, each row says so', () => {
  const [b, c] = [model('b', { would_unload: ['a'] }), model('c', { would_unload: ['a', 'x'] })];
  expect(groupNote([b, c])).toBe('');
  expect(differ([b, c])).toBe(true);
  expect(differ([b, b])).toBe(false);
});

test('what is asked for and not there has begun, whether it waits or is loaded', () => {
  const queued = { reason: 'queue', models: ['a'] } as unknown as Wait;
  expect(begun(model('m', { state: 'starting' }))).toBe(true);
  expect(begun(model('m', { state: 'stopped', waits_for: queued }))).toBe(true);
  expect(begun(model('m', { state: 'stopped' }))).toBe(false);
  expect(begun(model('m', { state: 'ready' }))).toBe(false);
});
