import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { NotEditable, groups, lineOfModel, models, read, setContext, setGroup, setOption } from './edit';

const TEXT = `# top
models:

  a:
    # setup: marks
    cmd: |
      \${llama-server} --model "/m/a.gguf"
      # context: --ctx-size 1 is a remark
      --ctx-size 8192
      --jinja
    ttl: 1800 # idle
    name: "A"

  org/b:
    cmd: llama-server --port \${PORT} -c 4096
    env: [X=1]

groups:
  big:
    swap: true
    members:
      - a # the first
      - other
  small: {swap: false, members: [org/b]}
  none:
    swap: true
`;

test('what is there', () => {
  expect([models(TEXT), groups(TEXT)]).toEqual([
    ['a', 'org/b'],
    ['big', 'small', 'none'],
  ]);
  expect(read(TEXT, 'a')).toEqual({ ttl: '1800', group: 'big', context: '8192' });
  expect(read(TEXT, 'org/b')).toEqual({ ttl: '', group: 'small', context: '4096' });
  expect([lineOfModel(TEXT, 'a'), lineOfModel(TEXT, 'org/b'), lineOfModel(TEXT, 'x')]).toEqual([4, 14, null]);
});

test('a changed value changes its own bytes only', () => {
  expect(setOption(TEXT, 'a', 'ttl', '60')).toBe(TEXT.replace('ttl: 1800', 'ttl: 60'));
  expect(setOption(TEXT, 'a', 'ttl', '10m')).toBe(TEXT.replace('ttl: 1800', 'ttl: 10m'));
  expect(setContext(TEXT, 'a', '4096')).toBe(TEXT.replace('--ctx-size 8192', '--ctx-size 4096'));
  expect(setContext(TEXT, 'org/b', '512')).toBe(TEXT.replace('-c 4096', '-c 512'));
});

test('a new option goes behind the others', () => {
  expect(setOption(TEXT, 'org/b', 'ttl', '60')).toBe(TEXT.replace('    env: [X=1]\n', '    env: [X=1]\n    ttl: 60\n'));
  expect(parse(setOption('models: {a: {cmd: x}}', 'a', 'ttl', '5')).models.a.ttl).toBe(5);
  expect(setOption('models:\n  a:\n    cmd: x', 'a', 'ttl', '5')).toBe('models:\n  a:\n    cmd: x\n    ttl: 5\n');
  expect(parse(setOption('models:\n  a:\n    cmd: |\n      x\n      y\n\nz: 1\n', 'a', 'ttl', '5'))).toEqual({
    models: { a: { cmd: 'x\ny\n', ttl: 5 } },
    z: 1,
  });
});

test('an emptied field takes the option out', () => {
  expect(setOption(TEXT, 'a', 'ttl', '')).toBe(TEXT.replace('    ttl: 1800 # idle\n', ''));
  expect(setOption(TEXT, 'org/b', 'ttl', '')).toBe(TEXT);
  expect(read(setContext(TEXT, 'a', ''), 'a').context).toBe('');
  expect(parse(setContext(TEXT, 'a', '')).models.a.cmd).toContain('remark\n--jinja\n');
  expect(parse(setContext(TEXT, 'org/b', '')).models['org/b'].cmd).toBe('llama-server --port ${PORT}');
});

test('a context is added to commands of every spelling', () => {
  for (const cmd of [
    'x --port 1',
    '"x --port 1"',
    "'x --port 1'",
    '|\n      x\n      --port 1',
    '>-\n      x\n      --port 1',
  ]) {
    const text = `models:\n  a:\n    cmd: ${cmd}\n    name: n\n`;
    const after = setContext(text, 'a', '2048');
    expect(read(after, 'a').context).toBe('2048');
    expect(parse(after).models.a.name).toBe('n');
    expect(parse(after).models.a.cmd.trim().split(/\s+/)).toEqual(['x', '--port', '1', '--ctx-size', '2048']);
  }
});

test('a model moves between groups of every spelling', () => {
  const members = (text: string) =>
    Object.fromEntries(
      Object.entries(parse(text).groups).map(([name, group]) => [
        name,
        (group as { members?: string[] }).members ?? [],
      ]),
    );
  expect(members(setGroup(TEXT, 'a', 'small'))).toEqual({ big: ['other'], small: ['org/b', 'a'], none: [] });
  expect(members(setGroup(TEXT, 'a', 'none'))).toEqual({ big: ['other'], small: ['org/b'], none: ['a'] });
  expect(members(setGroup(TEXT, 'org/b', 'big'))).toEqual({ big: ['a', 'other', 'org/b'], small: [], none: [] });
  expect(members(setGroup(TEXT, 'a', ''))).toEqual({ big: ['other'], small: ['org/b'], none: [] });
  const emptied = setGroup(setGroup(TEXT, 'a', ''), 'other', '');
  expect(members(emptied).big).toEqual([]);
  expect(members(setGroup(emptied, 'a', 'big')).big).toEqual(['a']);
  expect(setGroup(TEXT, 'a', 'big')).toBe(TEXT);
});

test('remarks survive a move', () => {
  expect(setGroup(TEXT, 'org/b', 'big')).toContain('- a # the first\n      - other\n      - org/b\n');
});

test('what cannot be edited says so', () => {
  expect(() => setOption('models:\n  a: *x\n', 'a', 'ttl', '1')).toThrow();
  expect(() => setContext('models:\n  a:\n    proxy: http://x\n', 'a', '1')).toThrow(NotEditable);
  expect(() => setGroup('models:\n  a:\n    cmd: x\n', 'a', 'nowhere')).toThrow(NotEditable);
});

test('what capabilities say of the context follows when it said the same', () => {
  const same = 'models:\n  a:\n    capabilities: {context: 2048}\n    cmd: serve -c 2048\n';
  expect(setContext(same, 'a', '4096')).toBe(same.replaceAll('2048', '4096'));
  const other = same.replace('context: 2048', 'context: 1024');
  expect(setContext(other, 'a', '4096')).toBe(other.replace('2048', '4096'));
  expect(setContext(same, 'a', '')).toContain('context: 2048');
});
