import { expect, test } from 'vitest';
import type { Together } from '../../api/types';
import { planOf } from './plan';

type Step = Together['steps'][number];
const step = (model: string, more: Partial<Step> = {}): Step => ({
  model,
  loaded: false,
  loading: false,
  unloads: [],
  refused: null,
  seconds: null,
  ...more,
});
const said = (together: boolean, ...steps: Step[]) => planOf({ steps, together }, (id) => id.toUpperCase());

test('those that are loaded answer at once', () => {
  expect(said(true, step('a', { loaded: true }), step('b', { loaded: true }))).toEqual({
    tone: 'good',
    text: 'These two are loaded and answer at the same time.',
  });
});

test('one that is just starting is waited for', () => {
  const starting = step('b', { loaded: true, loading: true, seconds: 5 });
  expect(said(true, step('a', { loaded: true }), starting).text).toBe(
    'These two fit together: A answers first, B is being loaded beside it, about 5 s.',
  );
  expect(said(false, starting, step('a', { unloads: ['b'], seconds: 3 })).text).toBe(
    'These two do not fit together: B is being loaded and answers first, about 5 s, then it is swapped for A, about 3 s.',
  );
});

test('a swap is explained, with the time it takes', () => {
  expect(said(false, step('a', { loaded: true }), step('b', { unloads: ['a'], seconds: 8 }))).toEqual({
    tone: 'others',
    text: 'These two do not fit together: A answers first, then it is swapped for B, about 8 s.',
  });
  const three = [
    step('a', { seconds: 2 }),
    step('b', { seconds: 3 }),
    step('c', { unloads: ['a', 'b', 'x'], seconds: 4 }),
  ];
  expect(said(false, ...three).text).toBe(
    'These three do not fit together: A is loaded and answers first, about 2 s, then B is loaded beside it, about 3 s, ' +
      'then A and B are swapped for C, about 4 s, which unloads X.',
  );
});

test('those that fit together say who goes for them', () => {
  expect(said(true, step('a', { loaded: true }), step('b', { unloads: ['x'], seconds: 0.4 }))).toEqual({
    tone: 'good',
    text: 'These two fit together: A answers first, then B is loaded beside it, which unloads X.',
  });
});

test('a refusal is told before it happens', () => {
  expect(said(false, step('a', { loaded: true }), step('b', { refused: 'a is pinned' }))).toEqual({
    tone: 'bad',
    text: 'B would be refused: a is pinned',
  });
});
