import { expect, test } from 'vitest';
import { portRow, report } from '../testing/values';
import { type Band, type Cell, bands, lookOf, tally } from './portmap';

const cells = (band: Band | undefined) => (band?.cells ?? []).filter((cell): cell is Cell => cell.kind === 'port');
const shape = (band: Band | undefined) =>
  (band?.cells ?? []).map((cell) => (cell.kind === 'port' ? cell.port : `${cell.start}-${cell.end}`));

test('an empty range shows its beginning and the rest as one stretch', () => {
  const [web, range] = bands(report([]));
  expect(shape(web)).toEqual([5800]);
  expect(shape(range)).toHaveLength(25);
  expect(shape(range).slice(-2)).toEqual([8123, '8124-8399']);
});

test('each port of a range is in exactly one cell or stretch, in order', () => {
  for (const used of [[8100], [8399], [8100, 8101, 8180], [8150, 8182, 8350], [8116, 8149]]) {
    const [, range] = bands(report(used.map((port) => portRow(port, 'held', { model: 'm' }))));
    let next = 8100;
    for (const cell of range!.cells) {
      expect(cell.kind === 'port' ? cell.port : cell.start).toBe(next);
      next = (cell.kind === 'port' ? cell.port : cell.end) + 1;
    }
    expect(next).toBe(8400);
  }
});

test('a planned port that a stranger has is a conflict and names the stranger', () => {
  const [, range] = bands(report([portRow(8100, 'stranger', { model: 'qwen', holder: 'python3 (pid 7)' })]));
  expect(cells(range)[0]).toMatchObject({ port: 8100, look: 'conflict', label: 'python3 (pid 7)' });
});

test.each([
  [portRow(1, 'stranger'), 'stranger'],
  [portRow(1, 'instance'), 'instance'],
  [portRow(1, 'leased', { model: 'a' }), 'starting'],
  [portRow(1, 'time_wait', { model: 'a' }), 'free'],
  [portRow(1, 'something new'), 'unknown'],
  [null, 'free'],
])('looks %#', (row, look) => expect(lookOf(row)).toBe(look));

test('of two rows for one port the one that tells more is shown', () => {
  const rows = [portRow(8100, 'free', { model: 'a' }), portRow(8100, 'serving', { model: 'b' })];
  expect(cells(bands(report(rows))[1])[0]).toMatchObject({ look: 'serving', label: 'b' });
});

test('ports outside every range have a band of their own', () => {
  const all = bands(report([portRow(9000, 'external', { model: 'x' }), portRow(7000, 'serving', { model: 'y' })]));
  expect(all.map((band) => band.name)).toEqual(['web', 'elsewhere', '(default)']);
  expect(shape(all[1])).toEqual([7000, 9000]);
});

test('the legend counts what is there', () => {
  const rows = [
    portRow(8100, 'held', { model: 'a' }),
    portRow(8101, 'held', { model: 'b' }),
    portRow(8102, 'stranger', { model: 'c' }),
  ];
  expect(tally(bands(report(rows)))).toEqual([
    ['serving', 1],
    ['held', 2],
    ['conflict', 1],
  ]);
});

test('the address for clients of Ollama is drawn, with who has it', () => {
  const at = (state: string, holder: string) => ({
    ollama: { hosts: ['127.0.0.1'], port: 11434, url: 'http://127.0.0.1:11434', state, pid: 7, holder },
  });
  expect(bands(report([])).map((band) => band.name)).toEqual(['web', '(default)']);
  const [, , ours] = bands(report([portRow(11434, 'serving')], at('serving', 'ClaraCore (pid 7)')));
  expect(cells(ours)).toMatchObject([{ port: 11434, look: 'serving', label: 'ClaraCore' }]);
  const [, , taken] = bands(report([], at('stranger', 'ollama (pid 7)')));
  expect(taken).toMatchObject({ name: 'ollama', start: 11434, end: 11434 });
  expect(cells(taken)).toMatchObject([{ look: 'stranger', label: 'ollama (pid 7)' }]);
});
