/** Who takes how much of a device, and what would a load bring about? Words and order are those of `claracore ps`. */
import type { Device, Group, MemoryReport, Model } from '../api/types';
import { bytes, duration, listed, plural } from '../format';

export interface Segment {
  kind: 'model' | 'free' | 'beyond' | 'other' | 'kept';
  /** The model's id; nothing for the others. */
  model: string;
  /** What a person reads of it. */
  text: string;
  bytes: number;
  /** How that is known of a model. */
  source?: Device['models'][number]['source'];
}

/** What a device's bar is made of, from the left. A model of which nothing is known is there with no bytes. */
export function segments(device: Device): Segment[] {
  const { models, free_bytes: free, other_bytes: other, reserved_bytes: kept } = device;
  const taken = models.reduce((sum, row) => sum + row.bytes, 0);
  const beyond = Math.max(0, device.total_bytes - taken - other - kept - free);
  const rest: [Segment['kind'], string, number][] = [
    ['free', 'free', free],
    ['beyond', 'beyond the budget', beyond],
    ['other', 'other programs', other],
    ['kept', 'kept free', kept],
  ];
  return [
    ...models.map(({ model, bytes: size, source }): Segment => {
      const text = `${model} ${size ? bytes(size) : '?'} (${source})`;
      return { kind: 'model', model, text, bytes: size, source };
    }),
    ...rest
      .filter(([, , size]) => size > 0)
      .map(([kind, words, size]): Segment => ({ kind, model: '', text: `${words} ${bytes(size)}`, bytes: size })),
  ];
}

/** What is on a device besides models, and what is left, in a line. */
export function summary(device: Device): string {
  const order: Segment['kind'][] = ['other', 'kept', 'beyond'];
  const besides = segments(device).filter(({ kind }) => order.includes(kind));
  besides.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const free = `free ${bytes(device.free_bytes)} of ${bytes(device.total_bytes)}`;
  return [...besides.map(({ text }) => text), free].join(', ');
}

const COLOURS = ['violet', 'info', 'ok', 'accent', 'warn'] as const;
export type Colour = (typeof COLOURS)[number];

/** The colour of a model's segments: the same on every device, whoever else is loaded. */
export function colourOf(model: string, models: readonly Model[]): Colour {
  const at = models.findIndex((each) => each.id === model);
  return COLOURS[Math.max(0, at) % COLOURS.length]!;
}

/** What a model that runs takes of all devices together; of one of which that is not known, what its process has. */
export function takenBy({ memory, memory_bytes: resident }: Model): number | null {
  return Object.values(memory.devices).reduce((sum, each) => sum + each, 0) || resident;
}

/** Bytes by device in words: `8.1 GiB of gpu0 and 500 MiB of ram`. */
export function sizes(byDevice: Record<string, number>): string {
  const found = Object.entries(byDevice).filter(([, size]) => size > 0);
  return listed(found.map(([device, size]) => `${bytes(size)} of ${device}`));
}

export interface Outcome {
  /** `good`: it fits; `others`: others go for it; `bad`: it would be refused. */
  tone: 'good' | 'others' | 'bad';
  text: string;
}

export interface Around {
  models: readonly Model[];
  groups: Record<string, Group>;
  /** Null while it is not known. */
  report: MemoryReport | null;
}

/** What loading a model would bring about; null for one that is loaded, and where nothing would. */
export function outcome(model: Model, around: Around): Outcome | null {
  if (model.state !== 'stopped') return null;
  const staying = keepingOut(model, around);
  if (staying.length) return { tone: 'bad', text: `Does not fit beside ${listed(staying)}` };
  if (model.in_the_way.length) return unloading(model, around);
  if (!around.report?.decides) {
    if (model.would_not_fit) return { tone: 'bad', text: model.would_not_fit };
    return model.would_unload.length ? unloading(model, around) : null;
  }
  const needs = Object.entries(model.memory.devices);
  const places = around.report.devices.flatMap((device) => {
    const size = needs.find(([id]) => id === device.id)?.[1] ?? 0;
    return size > 0 ? [{ device, size }] : [];
  });
  const never = places.find(({ device, size }) => size > most(device));
  if (never) return { tone: 'bad', text: `Never fits: ${short(never, most(never.device), limits(never.device))}` };
  const full = places.find(({ device, size }) => size > leftByOthers(device));
  if (full) {
    const why = [...limits(full.device), `${bytes(full.device.other_bytes)} used by other programs`];
    return { tone: 'bad', text: `Does not fit now: ${short(full, leftByOthers(full.device), why)}` };
  }
  if (model.would_unload.length) return unloading(model, around);
  const { source } = model.memory;
  if (source === 'unknown') return { tone: 'good', text: 'Runs alone: it is not known what it takes' };
  const takes = sizes(model.memory.devices) || 'nothing of this machine';
  const beside = places.find(({ device, size }) => size > device.free_bytes);
  // The server looks anew when somebody asks for the model; until then it does not say who would go.
  if (beside) return { tone: 'others', text: `Others have to go: ${short(beside, beside.device.free_bytes, [])}` };
  return { tone: 'good', text: `Fits: takes ${takes} (${source})` };
}

/** The most that models may ever have of a device. */
function most(device: Device): number {
  return Math.max(0, Math.min(device.budget_bytes, device.total_bytes - device.reserved_bytes));
}

/** What models may have of it together beside other programs. */
function leftByOthers(device: Device): number {
  return Math.max(0, Math.min(most(device), device.total_bytes - device.reserved_bytes - device.other_bytes));
}

function limits(device: Device): string[] {
  const parts = [`${bytes(device.total_bytes)} in all`];
  if (device.budget_bytes < device.total_bytes) parts.push(`${bytes(device.budget_bytes)} granted to models`);
  if (device.reserved_bytes) parts.push(`${bytes(device.reserved_bytes)} kept free`);
  return parts;
}

function short({ device, size }: { device: Device; size: number }, left: number, why: string[]): string {
  const reasons = why.length ? ` (${why.join(', ')})` : '';
  return `takes ${bytes(size)} of ${device.id}, where it can have ${bytes(left)}${reasons}`;
}

function unloading(model: Model, { models, report }: Around): Outcome {
  const going = inTheWay(model).flatMap((id) => models.find((each) => each.id === id) ?? []);
  const alone =
    report?.decides && model.memory.source === 'unknown' ? '; it is not known what it takes, so it runs alone' : '';
  return { tone: 'others', text: `Will unload ${listed(going.map(leaving))}${alone}` };
}

/** Whose memory a load needs, whether they would go or not: a pin that was set or taken since then changes that. */
function inTheWay({ in_the_way, would_unload }: Model): string[] {
  return [...in_the_way, ...would_unload];
}

/** Who of them goes for nobody, and why. */
function keepingOut(model: Model, { models, groups }: Around): string[] {
  return inTheWay(model).flatMap((id) => {
    const { pinned = model.in_the_way.includes(id), group = '' } = models.find((each) => each.id === id) ?? {};
    if (pinned) return [`${id}, which is pinned`];
    return groups[group]?.persistent ? [`${id}, which stays: its group ${group} is persistent`] : [];
  });
}

function leaving(model: Model): string {
  const [size, seconds] = [takenBy(model), model.load_seconds];
  const facts = [size ? `frees ${bytes(size)}` : '', seconds === null ? '' : `${duration(seconds)} to load again`];
  const details = facts.filter(Boolean).join(', ');
  return `${model.id}${model.serving ? ' once it has answered' : ''}${details ? ` (${details})` : ''}`;
}

/** What unloading a model frees, and what it costs. */
export function unloadingWords(model: Model): string {
  const { memory, load_seconds: seconds, memory_bytes: resident, serving, state, waiting } = model;
  const freed = sizes(memory.devices) || (resident ? bytes(resident) : '');
  const requests = serving + waiting;
  return [
    freed ? `Frees ${freed}.` : '',
    state === 'ready' && requests
      ? `${plural(requests, 'request')} of it ${requests === 1 ? 'ends' : 'end'} first.`
      : '',
    seconds === null ? '' : `Loading it took ${duration(seconds)}.`,
  ]
    .filter(Boolean)
    .join(' ');
}

export interface Taken {
  device: string;
  /** Bytes; null where that is not known. */
  declared: number | null;
  estimated: number | null;
  measured: number | null;
  /** How much more was measured than was declared or estimated, as a share of that; null without both. */
  off: number | null;
}

/** What was expected of a model and what it took, by device, in the order of the devices that there are. */
export function toldAndTaken({ memory }: Model, devices: readonly Device[]): Taken[] {
  const declared = memory.source === 'declared' ? memory.devices : null;
  const columns = [declared, memory.expected, memory.measured];
  const order = devices.map((device) => device.id);
  const named = new Set(columns.flatMap((column) => Object.keys(column ?? {})));
  const ids = [...order.filter((id) => named.has(id)), ...[...named].filter((id) => !order.includes(id)).sort()];
  return ids
    .map((device) => {
      const [told, estimated, measured] = columns.map((column) => (column ? (column[device] ?? 0) : null));
      const base = told ?? estimated ?? null;
      const off = base && measured != null ? measured / base - 1 : null;
      return { device, declared: told ?? null, estimated: estimated ?? null, measured: measured ?? null, off };
    })
    .filter(({ declared, estimated, measured }) => declared || estimated || measured);
}
