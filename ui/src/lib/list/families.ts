/** Of which family is a model? What its file says, else the words of its name before size and quantization. Pure. */
import type { Model } from '../api/types';

/** What the headers of the files say, by model. */
export type Headers = Readonly<Record<string, { family: string }>>;

const SIZE = /^([ae]?\d+(\.\d+)?|\d+x\d+(\.\d+)?)[bmk]$/i;
const QUANTIZATION = /^(i?q\d.*|tq\d.*|ud|bf16|f16|f32|fp\d+|mxfp4.*|nvfp4)$/i;
const REST = /^(instruct|it|chat|base|gguf|preview|latest|\d{4})$/i;

/** As people read it: `Qwen2.5 Coder`. Never empty. */
export function familyOf(model: Model, headers: Headers = {}): string {
  return spaced(headers[model.id]?.family ?? '') || named(model.name || model.id);
}

/** Families are the same whatever their writing is: `Qwen2.5-Coder`, `qwen2.5 coder`. */
export function familyKey(family: string): string {
  return family.toLowerCase().replace(/[^\p{L}\p{N}.]+/gu, '');
}

function named(name: string): string {
  const words = spaced(name.split('/').at(-1) || name).split(' ');
  const end = words.findIndex((word) => SIZE.test(word) || QUANTIZATION.test(word) || REST.test(word));
  return words.slice(0, end < 0 ? words.length : Math.max(1, end)).join(' ');
}

function spaced(name: string): string {
  return name.replace(/[-_:\s]+/g, ' ').trim();
}
