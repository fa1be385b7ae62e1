import { expect, test } from 'vitest';
import { row } from '../../testing/values';
import { factsOf } from './row-facts';

const named = (facts: ReturnType<typeof factsOf>) => Object.fromEntries(facts.map(({ name, text }) => [name, text]));

test('what is known is said, and nothing else', () => {
  expect(Object.keys(named(factsOf(row(1, { client: '' }))))).toEqual(['When', 'Model', 'Path', 'Result']);
});

test('a request that went to another machine names it', () => {
  const facts = named(factsOf(row(1, { model: 'desk/x', requested: 'x', node: 'desk', status: 0, error: 'lost' })));
  expect(facts).toMatchObject({ Model: 'desk/x, asked for as x', Machine: 'desk', Error: 'lost' });
  expect(facts).not.toHaveProperty('Result');
});
