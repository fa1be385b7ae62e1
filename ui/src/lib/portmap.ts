/** How is a port report drawn? As bands of cells: what is used one by one, what is free in stretches. Pure. */
import type { PortRange, PortReport, PortRow } from './api/types';

export type CellLook =
  'free' | 'held' | 'starting' | 'serving' | 'external' | 'stranger' | 'conflict' | 'instance' | 'unknown';

export interface Cell {
  kind: 'port';
  port: number;
  row: PortRow | null;
  look: CellLook;
  label: string;
}
export interface Stretch {
  kind: 'stretch';
  start: number;
  end: number;
}
export interface Band {
  name: string;
  title: string;
  start: number;
  end: number;
  members: number;
  cells: (Cell | Stretch)[];
}

/** Free ports shown one by one behind the last used one, before the rest becomes one stretch. */
const SHOWN_AFTER = 8;
const SHOWN_AT_LEAST = 24;
/** A hole between two used ports longer than this becomes a stretch. */
const LONGEST_HOLE = 32;

export const LOOKS: Record<CellLook, string> = {
  serving: 'serving',
  starting: 'starting',
  held: 'held for a model',
  external: 'named by the configuration, run by somebody else',
  conflict: 'planned, but taken by a stranger',
  stranger: 'taken by a stranger',
  instance: 'another ClaraCore',
  free: 'free',
  unknown: 'not looked at',
};

export function lookOf(row: PortRow | null): CellLook {
  switch (row?.state) {
    case undefined:
    case 'free':
    case 'time_wait':
      return 'free';
    case 'held':
    case 'serving':
    case 'external':
      return row.state;
    case 'leased':
      return 'starting';
    case 'stranger':
    case 'instance':
      return row.model ? 'conflict' : row.state;
    default:
      return 'unknown';
  }
}

export function labelOf(row: PortRow | null): string {
  if (!row) return '';
  const strange = row.state === 'stranger' || row.state === 'instance';
  return strange ? row.holder || 'a stranger' : (row.model ?? row.holder);
}

/** A port may have two rows (planned and actual); the one with a model that serves or is in conflict tells more. */
function byPort(rows: readonly PortRow[]): Map<number, PortRow> {
  const found = new Map<number, PortRow>();
  for (const row of rows) {
    const before = found.get(row.port);
    if (!before || (before.state === 'free' && row.state !== 'free')) found.set(row.port, row);
  }
  return found;
}

export function bands(report: PortReport): Band[] {
  const rows = byPort(report.ports);
  const inside = (port: number) => report.ranges.some((range) => port >= range.start && port <= range.end);
  const own = [report.web.port, report.ollama?.port];
  const elsewhere = [...rows.keys()].filter((port) => !inside(port) && !own.includes(port));
  const found = report.ranges.map((range) => band(range, rows));
  found.unshift(address('web', 'Web and API', report.web));
  if (report.ollama) found.push(address('ollama', 'For clients of Ollama', report.ollama));
  if (elsewhere.length)
    found.push({
      name: 'elsewhere',
      title: 'Outside the ranges',
      start: Math.min(...elsewhere),
      end: Math.max(...elsewhere),
      members: elsewhere.length,
      cells: elsewhere.sort((a, b) => a - b).map((port) => cell(port, rows.get(port)!)),
    });
  return found.sort((a, b) => a.start - b.start);
}

/** An address of ClaraCore itself; only the second one can be somebody else's. */
function address(name: string, title: string, found: PortReport['web']): Band {
  const row: PortRow = { ...found, model: null, group: null, note: '', holder: found.holder || 'ClaraCore' };
  const drawn = cell(found.port, row);
  const label = drawn.look === 'stranger' || drawn.look === 'instance' ? drawn.label : 'ClaraCore';
  return { name, title, start: found.port, end: found.port, members: 0, cells: [{ ...drawn, label }] };
}

function band(range: PortRange, rows: ReadonlyMap<number, PortRow>): Band {
  const used = [...rows.keys()].filter((port) => port >= range.start && port <= range.end).sort((a, b) => a - b);
  const last = used.at(-1) ?? range.start - 1;
  const shownTo = Math.min(
    range.end,
    Math.max(last + SHOWN_AFTER, used.length ? last : range.start + SHOWN_AT_LEAST - 1),
  );
  const cells: (Cell | Stretch)[] = [];
  let next = range.start;
  const free = (to: number) => {
    if (to - next + 1 > LONGEST_HOLE) cells.push({ kind: 'stretch', start: next, end: to });
    else for (let port = next; port <= to; port += 1) cells.push(cell(port, null));
  };
  for (const port of used) {
    free(port - 1);
    cells.push(cell(port, rows.get(port)!));
    next = port + 1;
  }
  if (next <= shownTo) free(shownTo);
  next = Math.max(next, shownTo + 1);
  if (next <= range.end) cells.push({ kind: 'stretch', start: next, end: range.end });
  const title = { '(default)': 'Models without a range of their own', '(Ray)': 'Ray' }[range.name] ?? range.name;
  return { name: range.name, title, start: range.start, end: range.end, members: range.members.length, cells };
}

function cell(port: number, row: PortRow | null): Cell {
  return { kind: 'port', port, row, look: lookOf(row), label: labelOf(row) };
}

/** How many ports have each look, for the legend; free ones are not counted. */
export function tally(all: readonly Band[]): [CellLook, number][] {
  const counts = new Map<CellLook, number>();
  for (const each of all.flatMap((one) => one.cells))
    if (each.kind === 'port' && each.look !== 'free') counts.set(each.look, (counts.get(each.look) ?? 0) + 1);
  return (Object.keys(LOOKS) as CellLook[]).flatMap((look) => (counts.has(look) ? [[look, counts.get(look)!]] : []));
}
