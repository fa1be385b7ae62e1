/** What does a scan say, in sums and words? And what do a person's corrections become? Pure. */
import type { ScannedModel, SetupOptions } from '../api/types';
import { bytes } from '../format';

/** What a person typed; empty is "as found". */
export interface Corrections {
  backend: string;
  vram: string;
  ram: string;
  context: string;
  parallel: string;
  draft: boolean;
}

export const AS_FOUND: Corrections = { backend: '', vram: '', ram: '', context: '', parallel: '', draft: false };

export function optionsOf(corrections: Corrections): SetupOptions {
  const options: SetupOptions = {};
  const number = (text: string) => (text.trim() === '' || !Number.isFinite(Number(text)) ? undefined : Number(text));
  if (corrections.backend) options.backend = corrections.backend;
  const [vram, ram, context, parallel] = [
    corrections.vram,
    corrections.ram,
    corrections.context,
    corrections.parallel,
  ].map(number);
  if (vram !== undefined) options.vram_gb = vram;
  if (ram !== undefined) options.ram_gb = ram;
  if (context !== undefined) options.context = context;
  if (parallel !== undefined) options.parallel = parallel;
  if (corrections.draft) options.auto_draft = true;
  return options;
}

/** Bytes by where they lie, the largest first. */
export function byPlace(model: ScannedModel): { where: string; bytes: number }[] {
  const found = new Map<string, number>();
  for (const { where, bytes } of model.fit) found.set(where, (found.get(where) ?? 0) + bytes);
  return [...found].map(([where, bytes]) => ({ where, bytes })).sort((a, b) => b.bytes - a.bytes);
}

export function total(model: ScannedModel): number {
  return model.fit.reduce((sum, part) => sum + part.bytes, 0);
}

/** What each device was expected to hold and held, when the model was loaded last. */
export function lastLoad(load: NonNullable<ScannedModel['last_load']>): string {
  const place = (device: string) => (device === 'ram' ? 'RAM' : device.replace(/^gpu/, 'GPU '));
  return load.devices
    .map((row) => `${place(row.device)} ${bytes(row.expected)} expected, ${bytes(row.taken)} taken`)
    .join('; ');
}

/** A folder is not added beside itself or beside one that holds it; ones inside it go. */
export function withFolder(folders: readonly string[], added: string): string[] {
  const path = added.replace(/(.)\/+$/, '$1');
  const inside = (one: string, other: string) => one === other || one.startsWith(other === '/' ? '/' : `${other}/`);
  if (!path || folders.some((each) => inside(path, each))) return [...folders];
  return [...folders.filter((each) => !inside(each, path)), path];
}

export interface DiffLine {
  kind: 'add' | 'remove' | 'place' | 'same';
  text: string;
}

/** Reads a unified diff. */
export function diffLines(diff: string): DiffLine[] {
  const kind = (line: string): DiffLine['kind'] => {
    if (line.startsWith('@@')) return 'place';
    if (line.startsWith('+')) return 'add';
    return line.startsWith('-') ? 'remove' : 'same';
  };
  return diff
    .split('\n')
    .filter((line, index, all) => !/^(---|\+\+\+) /.test(line) && !(line === '' && index === all.length - 1))
    .map((text) => ({ kind: kind(text), text }));
}
