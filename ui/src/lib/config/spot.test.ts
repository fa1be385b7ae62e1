import { expect, test } from 'vitest';
import { spotAt } from './spot';

/** The place of the bar in the text. */
const at = (text: string) => spotAt(text.replace('|', ''), text.indexOf('|'));

test('keys at the top, with their siblings', () => {
  expect(at('startPort: 8100\nhea|\nmodels:\n  a:\n    cmd: x')).toEqual({
    kind: 'key',
    path: [],
    typed: 'hea',
    from: 16,
    siblings: ['startPort', 'models'],
  });
});

test('keys inside a model', () => {
  const spot = at('models:\n  # remark\n  qwen/3.5:\n    cmd: x\n    tt|\n\n    name: y\n  other:\n    ttl: 3');
  expect(spot).toMatchObject({ kind: 'key', path: ['models', 'qwen/3.5'], typed: 'tt', siblings: ['cmd', 'name'] });
});

test('an empty line belongs where its indentation says', () => {
  expect(at('models:\n  a:\n    cmd: x\n    |')?.path).toEqual(['models', 'a']);
  expect(at('models:\n  a:\n    cmd: x\n  |')?.path).toEqual(['models']);
  expect(at('models:\n  a:\n    cmd: x\n|')?.path).toEqual([]);
});

test('values know their key', () => {
  expect(at('groups:\n  big:\n    swap: tr|')).toMatchObject({
    kind: 'value',
    path: ['groups', 'big', 'swap'],
    typed: 'tr',
  });
  expect(at('logLevel: |')).toMatchObject({ kind: 'value', path: ['logLevel'], typed: '' });
});

test('quoted keys and lists', () => {
  expect(at('models:\n  "a b":\n    ttl: |')?.path).toEqual(['models', 'a b', 'ttl']);
  expect(at('peers:\n  - name: x\n    pro|')?.path).toEqual(['peers', '[]']);
  expect(at('peers:\n  - pro|')?.path).toEqual(['peers', '[]']);
});

test('inside a command, a remark or a flow nothing is offered', () => {
  expect(at('models:\n  a:\n    cmd: |\n      llama-server\n      --ctx|'.replace('cmd: |', 'cmd: >-'))).toBe(null);
  expect(at('# star|')).toBe(null);
  expect(at('a: {b: c, d|')?.kind).not.toBe('key');
});
