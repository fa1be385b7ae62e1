/** What is there to say about a model in its row, whether it runs or not? Pure. */
import type { Model, ModelFiles } from '../api/types';
import { bytes, context } from '../format';
import { takenBy } from '../memory/memory';

/** Bytes of a file, by powers of 1000 as hubs and file managers do: `102 MB`, `4.7 GB`. */
export function fileSize(size: number): string {
  if (size >= 999.5e6) return `${(size / 1e9).toFixed(size >= 99.95e9 ? 0 : 1)} GB`;
  return `${(size / 1e6).toFixed(size >= 1e7 ? 0 : 1)} MB`;
}

/** A number of parameters: 134515008 -> "135M", 8030261248 -> "8.0B". */
export function parameters(count: number): string {
  if (count >= 1e11) return `${Math.round(count / 1e9)}B`;
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}B`;
  return count >= 1e6 ? `${Math.round(count / 1e6)}M` : `${Math.round(count / 1e3)}K`;
}

export interface Fact {
  text: string;
  /** What it is, for a tooltip and for who does not see it. */
  about: string;
}

/** What the file says and the command asks for: parameters, quantization, size, context; only what is known. */
export function factsOf(model: Model, files: ModelFiles | undefined): Fact[] {
  const found: Fact[] = [];
  const add = (text: string, about: string) => found.push({ text, about });
  if (files?.parameters) {
    const active = files.parameters_active ?? files.parameters;
    const sparse = active < files.parameters * 0.9 ? `, ${parameters(active)} active` : '';
    add(parameters(files.parameters) + sparse, 'parameters');
  }
  if (files?.quantization) add(files.quantization, 'quantization');
  if (files?.size_bytes) add(fileSize(files.size_bytes), 'size of its files');
  const tokens = model.capabilities.context || files?.context;
  if (tokens) add(`${context(tokens)} context`, 'tokens that a conversation may have');
  return found;
}

export interface MemoryWords {
  /** What counts: what it takes, or what it would. */
  size: string;
  /** How that is known, or what was expected instead. */
  note: string;
  /** More, for a tooltip. */
  more: string;
}

const sum = (devices: Record<string, number> | null) =>
  devices && Object.values(devices).reduce((all, each) => all + each, 0);

/** What a model takes, or would take, and what was expected of it; null where nothing is known. */
export function memoryWords(model: Model): MemoryWords | null {
  const { memory, state } = model;
  const told = sum(memory.devices) || null;
  const counts = state === 'stopped' ? told : takenBy(model);
  if (!counts) return null;
  const [expected, measured] = [sum(memory.expected), sum(memory.measured)];
  const parts = [
    expected ? `estimated ${bytes(expected)}` : '',
    memory.source === 'declared' ? `declared ${bytes(told)}` : '',
    measured ? `measured ${bytes(measured)}` : '',
  ].filter(Boolean);
  const others = parts.filter((part) => !part.startsWith(memory.source));
  const note = told === null ? 'in RAM' : others.length ? `${others.at(-1)}` : memory.source;
  return { size: bytes(counts), note, more: parts.join(', ') || 'what its process has of RAM' };
}
