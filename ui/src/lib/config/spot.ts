/**
 * Where in a YAML text is the cursor: in which mapping, at a key or at a value? By lines and indentation, because the
 * text is broken most of the time while somebody types. Pure.
 */

export interface Spot {
  kind: 'key' | 'value';
  /** Keys from the top; `[]` is an item of a list. For a value it ends with its own key. */
  path: string[];
  /** What is typed so far, and where it begins. */
  typed: string;
  from: number;
  /** Keys that the mapping already has. */
  siblings: string[];
}

const KEY = /^(\s*)((?:- +)*)(?:"([^"]*)"|'([^']*)'|([^\s#"'[{&*!|>-][^:#]*?|[^\s#:"']+?))\s*:(?:\s+(.*))?$/;
const BLOCK_SCALAR = /:\s*(?:[&!]\S+\s+)*[|>][+-]?\d*\s*(?:#.*)?$/;

interface Parsed {
  /** Column where the key begins, dashes counted. */
  column: number;
  dashes: number;
  dashColumn: number;
  key: string;
}

function parsed(line: string): Parsed | null {
  const match = KEY.exec(line);
  if (!match) return null;
  const [, space = '', dashes = '', double, single, bare] = match;
  return {
    column: space.length + dashes.length,
    dashes: dashes.split('-').length - 1,
    dashColumn: space.length,
    key: double ?? single ?? bare ?? '',
  };
}

const indentOf = (line: string) => line.length - line.trimStart().length;
const blank = (line: string) => /^\s*(#.*)?$/.test(line);

export function spotAt(text: string, offset: number): Spot | null {
  const lines = text.split('\n');
  const before = text.slice(0, offset);
  const row = before.split('\n').length - 1;
  const start = before.lastIndexOf('\n') + 1;
  const line = before.slice(start);
  if (/(^|\s)#/.test(line)) return null;
  const value = /^(\s*(?:- +)*[^\s#:][^:#]*:\s+)([^\s#][^#]*)?$/.exec(line);
  if (value) {
    const own = parsed(line);
    if (!own) return null;
    const path = above(lines, row, own.dashes ? own.dashColumn : own.column);
    if (!path) return null;
    const item = own.dashes ? ['[]'] : [];
    return {
      kind: 'value',
      path: [...path, ...item, own.key],
      typed: value[2] ?? '',
      from: start + value[1]!.length,
      siblings: [],
    };
  }
  const key = /^(\s*)((?:- +)*)([\w$.-]*)$/.exec(line);
  if (!key) return null;
  const [, space = '', dashes = '', typed = ''] = key;
  const path = above(lines, row, space.length);
  if (!path) return null;
  const column = space.length + dashes.length;
  return {
    kind: 'key',
    path: dashes ? [...path, '[]'] : path,
    typed,
    from: start + column,
    siblings: siblings(lines, row, column),
  };
}

/** The keys whose blocks hold a line at `column`; null inside a block scalar, whose text is nobody's key. */
function above(lines: readonly string[], row: number, column: number): string[] | null {
  const path: string[] = [];
  let limit = column;
  for (let at = row - 1; at >= 0 && limit > 0; at -= 1) {
    const line = lines[at]!;
    if (blank(line)) continue;
    const found = parsed(line);
    if (!found) continue;
    if (found.column < limit) {
      if (BLOCK_SCALAR.test(line)) return null;
      path.unshift(found.key);
      limit = found.column;
    }
    if (found.dashes && found.dashColumn < limit) {
      path.unshift('[]');
      limit = found.dashColumn;
    }
  }
  return path;
}

function siblings(lines: readonly string[], row: number, column: number): string[] {
  const found: string[] = [];
  for (const step of [-1, 1])
    for (let at = row + step; at >= 0 && at < lines.length; at += step) {
      const line = lines[at]!;
      if (blank(line)) continue;
      const each = parsed(line);
      if (each?.column === column) found.push(each.key);
      if (indentOf(line) < column && !(each && each.dashes && each.column === column)) break;
      if (each?.dashes && each.column === column) break;
    }
  return found;
}
