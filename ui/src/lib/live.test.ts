import { expect, test } from 'vitest';
import { flight, model } from '../testing/values';
import { groupNote } from './groups';
import { grouped, ttlLeft, waitingFor, withFlight, withModel, withVictims } from './live';

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
  expect(grouped(models, 'EYE vision').flatMap((group) => group.models.map((each) => each.id))).toEqual(['b']);
  expect(grouped(models, 'eye chat')).toEqual([]);
});

test('the time to unloading runs on between news, and only while nothing is asked', () => {
  const idle = model('a', { state: 'ready', ttl_left_seconds: 60 });
  expect(ttlLeft(idle, 1000, 11_000)).toBe(50);
  expect(ttlLeft(idle, 1000, 100_000)).toBe(0);
  expect(ttlLeft({ ...idle, serving: 1 }, 1000, 11_000)).toBe(null);
  expect(ttlLeft({ ...idle, pinned: true }, 1000, 11_000)).toBe(null);
  expect(ttlLeft({ ...idle, state: 'stopping' }, 1000, 11_000)).toBe(null);
});

test('who waits is told for what', () => {
  const say = (models: ReturnType<typeof model>[], flights = [flight(1)]) => waitingFor('a', models, flights);
  expect(say([model('a', { state: 'starting', progress: 0.43 })])).toBe('Loading a 43 %');
  expect(say([model('a', { state: 'starting', progress_message: 'Loading model' })])).toBe('Loading a');
  expect(say([model('a', { would_unload: ['b'] }), model('b', { state: 'starting', waiting: 1 })])).toContain(
    'Queued behind b',
  );
  expect(say([model('a', { state: 'ready' })])).toBe('Reading the prompt');
  expect(say([model('a', { state: 'ready' })], [flight(1, { position: 3 })])).toBe('In the queue of a, place 3');
  expect(say([model('a', { would_unload: ['b'] }), model('b', { state: 'ready', serving: 1 })])).toContain(
    'Queued behind b',
  );
  expect(say([model('a'), model('b', { state: 'stopping' })])).toBe('Unloading b to make room for a');
  expect(say([model('a')])).toBe('Starting a');
  expect(say([])).toBe('Waiting for the answer');
});

test('an older answer changes only what would be unloaded', () => {
  const known = [model('a', { state: 'ready' }), model('b')];
  const after = withVictims(known, [model('a', { state: 'starting' }), model('b', { would_unload: ['a'] })]);
  expect(after).toEqual([model('a', { state: 'ready' }), model('b', { would_unload: ['a'] })]);
});

test('a group says what loading one of it would unload', () => {
  const [a, b] = [model('a', { state: 'ready' }), model('b', { would_unload: ['a'] })];
  expect(groupNote({ name: 'g', models: [a, b] })).toBe('2 models; loading another one unloads a');
  expect(groupNote({ name: 'g', models: [b] })).toBe('1 model; loading one unloads a');
  expect(groupNote({ name: 'g', models: [a] })).toBe('1 model');
});
