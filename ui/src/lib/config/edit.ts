/**
 * How does a form change one value of a YAML text and nothing else? It finds the place with a parser and edits the
 * text, so comments, order and quoting of everything else stay byte for byte. Pure.
 */
import {
  type Document,
  type Pair,
  type Scalar,
  YAMLMap,
  YAMLSeq,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  stringify,
} from 'yaml';

export interface ModelForm {
  ttl: string;
  group: string;
  context: string;
}

const CONTEXT = /(--ctx-size|-c)([ =]+)(\d+)/;

export class NotEditable extends Error {}

export function models(text: string): string[] {
  const found = parseDocument(text).get('models', true);
  return isMap(found) ? found.items.map((pair) => String((pair.key as Scalar).value)) : [];
}

export function groups(text: string): string[] {
  const found = parseDocument(text).get('groups', true);
  return isMap(found) ? found.items.map((pair) => String((pair.key as Scalar).value)) : [];
}

export function read(text: string, id: string): ModelForm {
  const doc = parseDocument(text);
  const ttl: unknown = doc.getIn(['models', id, 'ttl']);
  const cmd: unknown = doc.getIn(['models', id, 'cmd']);
  return {
    ttl: ttl === undefined || ttl === null ? '' : String(ttl),
    group: groupOf(doc, id) ?? '',
    context: (typeof cmd === 'string' ? CONTEXT.exec(withoutComments(cmd))?.[3] : '') ?? '',
  };
}

/** Lines of a command that begin with # are remarks. Their length stays, so positions do too. */
function withoutComments(cmd: string): string {
  return cmd.replace(/^[ \t]*#.*$/gm, (line) => ' '.repeat(line.length));
}

function groupOf(doc: Document, id: string): string | null {
  const all = doc.get('groups', true);
  if (!isMap(all)) return null;
  for (const pair of all.items) {
    const members = isMap(pair.value) ? pair.value.get('members', true) : null;
    if (isSeq(members) && members.items.some((item) => isScalar(item) && item.value === id))
      return String((pair.key as Scalar).value);
  }
  return null;
}

/** Sets a plain option of a model; an empty value takes the option out. Throws NotEditable. */
export function setOption(text: string, id: string, key: string, value: string): string {
  const map = modelMap(text, id);
  const pair = map.items.find((each) => (each.key as Scalar).value === key);
  if (!pair) return value === '' ? text : withPair(text, map, key, scalar(value));
  if (value === '') return withoutPair(text, map, pair);
  const [from, to] = rangeOf(pair.value);
  return text.slice(0, from) + scalar(value) + text.slice(to);
}

/** Sets --ctx-size in a model's command, and what its capabilities say if they say the same. Throws NotEditable. */
export function setContext(text: string, id: string, value: string): string {
  const before = read(text, id).context;
  const told = modelMap(text, id).getIn(['capabilities', 'context'], true);
  if (!value || !isScalar(told) || String(told.value) !== before) return withContext(text, id, value);
  const [from, to] = rangeOf(told);
  return withContext(text.slice(0, from) + value + text.slice(to), id, value);
}

function withContext(text: string, id: string, value: string): string {
  const map = modelMap(text, id);
  const cmd = map.get('cmd', true);
  if (!isScalar(cmd)) throw new NotEditable(`${id} has no cmd of its own`);
  const [from, to] = rangeOf(cmd);
  const source = text.slice(from, to);
  const found = CONTEXT.exec(withoutComments(source));
  if (found) {
    const [begin, end] = [found.index, found.index + found[0].length];
    if (value)
      return (
        text.slice(0, from) + source.slice(0, begin) + found[1] + found[2] + value + source.slice(end) + text.slice(to)
      );
    const whole = source.slice(0, begin).replace(/[ \t]+$/, '') + source.slice(end);
    return text.slice(0, from) + whole.replace(/\n[ \t]*\n/, '\n') + text.slice(to);
  }
  if (!value) return text;
  return text.slice(0, from) + appended(source, `--ctx-size ${value}`) + text.slice(to);
}

function appended(source: string, words: string): string {
  if (/^[|>]/.test(source)) {
    const body = source.slice(source.indexOf('\n') + 1);
    const indent = /^[ \t]*/.exec(body)![0];
    const trimmed = source.trimEnd();
    return `${trimmed}\n${indent}${words}${source.slice(trimmed.length) || '\n'}`;
  }
  const quote = /["']$/.exec(source)?.[0] ?? '';
  return `${quote ? source.slice(0, -1) : source} ${words}${quote}`;
}

/** Puts a model into a group; an empty name takes it out of every group. Throws NotEditable. */
export function setGroup(text: string, id: string, group: string): string {
  const before = groupOf(parseDocument(text), id);
  if (before === (group || null)) return text;
  const left = before ? withoutMember(text, before, id) : text;
  return group ? withMember(left, group, id) : left;
}

function groupMap(text: string, group: string): YAMLMap {
  const found = parseDocument(text).getIn(['groups', group], true);
  if (!(found instanceof YAMLMap)) throw new NotEditable(`group ${group} is not written as a mapping`);
  return found;
}

function withoutMember(text: string, group: string, id: string): string {
  const members = groupMap(text, group).get('members', true);
  if (!(members instanceof YAMLSeq)) throw new NotEditable(`the members of ${group} are not written as a list`);
  const rest = members.items.filter((item) => !(isScalar(item) && item.value === id));
  if (members.flow || rest.length === 0) return withList(text, members, rest);
  const item = members.items.find((each) => isScalar(each) && each.value === id)!;
  const [from, to] = rangeOf(item);
  const start = text.lastIndexOf('\n', from - 1) + 1;
  const end = text.indexOf('\n', to);
  return text.slice(0, start) + (end < 0 ? '' : text.slice(end + 1));
}

function withMember(text: string, group: string, id: string): string {
  const map = groupMap(text, group);
  const members = map.get('members', true);
  if (members == null || (isScalar(members) && members.value === null)) {
    const pair = map.items.find((each) => (each.key as Scalar).value === 'members');
    return withPair(
      pair ? withoutPair(text, map, pair) : text,
      groupMap(pair ? withoutPair(text, map, pair) : text, group),
      'members',
      `[${scalar(id)}]`,
    );
  }
  if (!(members instanceof YAMLSeq)) throw new NotEditable(`the members of ${group} are not written as a list`);
  const last = members.items.at(-1);
  if (members.flow || !last) return withList(text, members, [...members.items, id]);
  const [from, to] = rangeOf(last);
  const start = text.lastIndexOf('\n', from - 1) + 1;
  const dash = /^\s*- +/.exec(text.slice(start, from))?.[0] ?? '- ';
  const end = text.indexOf('\n', to);
  const at = end < 0 ? text.length : end;
  return `${text.slice(0, at)}\n${dash}${scalar(id)}${text.slice(at)}`;
}

function withList(text: string, list: YAMLSeq, items: unknown[]): string {
  const words = items.map((item) => scalar(String(isScalar(item) ? item.value : item)));
  const [from, to] = rangeOf(list);
  const block =
    !list.flow && text.slice(0, from).endsWith('\n' + ' '.repeat(from - text.lastIndexOf('\n', from - 1) - 1));
  if (!block) return `${text.slice(0, from)}[${words.join(', ')}]${text.slice(to)}`;
  // The last item of a block list goes: the list becomes an empty one, on the line of its key.
  const before = text.slice(0, from).trimEnd();
  return `${before} [${words.join(', ')}]${text[to - 1] === '\n' ? '\n' : ''}${text.slice(to)}`;
}

function modelMap(text: string, id: string): YAMLMap {
  const found = parseDocument(text).getIn(['models', id], true);
  if (!(found instanceof YAMLMap)) throw new NotEditable(`${id} is not written as a mapping`);
  return found;
}

function rangeOf(node: unknown): [number, number] {
  const range = (node as { range?: [number, number, number] | null } | null)?.range;
  if (!range) throw new NotEditable('this place of the text cannot be edited by a form');
  return [range[0], range[1]];
}

/** A scalar that cannot be mistaken for something else. */
function scalar(value: string): string {
  const number = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  return stringify(number, { lineWidth: 0 }).trimEnd();
}

function withPair(text: string, map: YAMLMap, key: string, value: string): string {
  const last = map.items.at(-1);
  if (map.flow) {
    const [, to] = rangeOf(map);
    return `${text.slice(0, to - 1)}${last ? ', ' : ''}${key}: ${value}${text.slice(to - 1)}`;
  }
  const [first] = map.items;
  if (!first || !last) throw new NotEditable('an empty mapping cannot be edited by a form');
  const [from] = rangeOf(first.key);
  const indent = ' '.repeat(from - text.lastIndexOf('\n', from - 1) - 1);
  const [, to] = rangeOf(last.value ?? last.key);
  const ended = text[to - 1] === '\n';
  const end = ended ? to : text.indexOf('\n', to) + 1;
  if (end === 0) return `${text}\n${indent}${key}: ${value}\n`;
  return `${text.slice(0, end)}${indent}${key}: ${value}\n${text.slice(end)}`;
}

function withoutPair(text: string, map: YAMLMap, pair: Pair): string {
  if (map.flow) throw new NotEditable('an option on one line with others is taken out by hand');
  const [from] = rangeOf(pair.key);
  const [, to] = rangeOf(pair.value ?? pair.key);
  const start = text.lastIndexOf('\n', from - 1) + 1;
  const end = text[to - 1] === '\n' ? to : text.indexOf('\n', to) + 1;
  return text.slice(0, start) + (end === 0 ? '' : text.slice(end));
}

/** The 1-based line where a model begins; null when it is not in the text. */
export function lineOfModel(text: string, id: string): number | null {
  const all = parseDocument(text).get('models', true);
  const pair = isMap(all) ? all.items.find((each) => (each.key as Scalar).value === id) : undefined;
  if (!pair) return null;
  return text.slice(0, rangeOf(pair.key)[0]).split('\n').length;
}
