/** Which parameters has a person given a name? Values and plain functions; `presets.svelte.ts` keeps them. */
import { FIELDS, type Parameters, restoredParameters } from '../conversation';
import { record, text } from '../thread';

export interface Preset {
  name: string;
  parameters: Parameters;
}

/** Reads what was stored, or came in a file: those without a name, and names that are there already, are left out. */
export function restoredPresets(found: readonly unknown[]): Preset[] {
  const rows = found.map(record).map((row) => ({
    name: text(row.name).trim(),
    parameters: restoredParameters(row.parameters),
  }));
  return rows.filter(({ name }, index) => name && rows.findIndex((row) => row.name === name) === index).sort(byName);
}

/** With one more; one of the same name gives way. */
export function withPreset(presets: readonly Preset[], preset: Preset): Preset[] {
  return [...without(presets, preset.name), preset].sort(byName);
}

export function without(presets: readonly Preset[], name: string): Preset[] {
  return presets.filter((each) => each.name !== name);
}

/** With those of a file: one that says something else under a name that is taken gets another name. */
export function withImported(presets: readonly Preset[], more: readonly Preset[]): Preset[] {
  let all = [...presets];
  for (const { name, parameters } of more) {
    if (all.some((each) => (each.name === name || isNumbered(each.name, name)) && same(each.parameters, parameters)))
      continue;
    all = withPreset(all, { name: freeName(all, name), parameters });
  }
  return all;
}

/** A name that nobody has: this one, or with a number. */
export function freeName(presets: readonly Preset[], name: string): string {
  const taken = new Set(presets.map((each) => each.name));
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name} (${number})`;
  return free;
}

/** The name under which these parameters are kept, if they are. */
export function nameOf(presets: readonly Preset[], parameters: Parameters): string {
  return presets.find((each) => same(each.parameters, parameters))?.name ?? '';
}

function isNumbered(name: string, base: string): boolean {
  return name.startsWith(`${base} (`);
}

function same(a: Parameters, b: Parameters): boolean {
  return a.system === b.system && a.stop === b.stop && FIELDS.every(({ key }) => (a[key] ?? null) === (b[key] ?? null));
}

function byName(a: Preset, b: Preset): number {
  return a.name.localeCompare(b.name);
}
