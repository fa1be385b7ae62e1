import { expect, test } from 'vitest';
import { type Schema, about, at, options, values } from './schema';

const root: Schema = {
  $defs: {
    Model: {
      type: 'object',
      properties: {
        cmd: { type: 'string', description: 'What is run.' },
        ttl: {
          anyOf: [{ type: 'integer' }, { type: 'null' }, { type: 'string', pattern: '^\\$' } as Schema],
          default: -1,
          description: 'Idle seconds.',
        },
        aliases: { type: 'array', items: { type: 'string' } },
      },
    },
    Level: { enum: ['debug', 'info'], type: 'string' },
    Peer: { type: 'object', properties: { proxy: { type: 'string' } } },
  },
  type: 'object',
  properties: {
    logLevel: { $ref: '#/$defs/Level', description: 'How much is logged.' },
    models: { anyOf: [{ type: 'object', additionalProperties: { $ref: '#/$defs/Model' } }, { type: 'null' }] },
    peers: { type: 'array', items: { $ref: '#/$defs/Peer' } },
    strict: { type: 'boolean', default: false },
  },
};

const names = (path: string[], taken: string[] = []) => options(root, path, taken).map((option) => option.name);

test('options of the top, of any model, of items', () => {
  expect(names([])).toEqual(['logLevel', 'models', 'peers', 'strict']);
  expect(names(['models', 'anything'], ['cmd'])).toEqual(['aliases', 'ttl']);
  expect(names(['peers', '[]'])).toEqual(['proxy']);
  expect(names(['nowhere', 'x'])).toEqual([]);
});

test('an option says its type, its meaning and its default', () => {
  const [, , ttl] = options(root, ['models', 'x']);
  expect(ttl).toEqual({ name: 'ttl', detail: 'number', about: 'Idle seconds. Default: -1.', block: false });
  expect(options(root, []).find((option) => option.name === 'models')?.block).toBe(true);
  expect(about(at(root, ['logLevel'])[0]!, root)).toBe('How much is logged.');
});

test('values of enumerations and switches', () => {
  expect(values(root, ['logLevel'])).toEqual(['debug', 'info']);
  expect(values(root, ['strict'])).toEqual(['true', 'false']);
  expect(values(root, ['models', 'x', 'cmd'])).toEqual([]);
});

test('a schema that refers to itself ends', () => {
  const ring: Schema = { $defs: { A: { $ref: '#/$defs/A' } }, $ref: '#/$defs/A' };
  expect(options(ring, ['a', 'b'])).toEqual([]);
});
