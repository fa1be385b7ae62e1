/** Which of the models that other programs keep on this machine could be used? Pure. */
import type { Stores } from '../api/types';
import { bytes, plural } from '../format';

export type Store = Stores['found'][number];

/** Those that hold something that is not configured yet. */
export function worthOffering(stores: Stores | null): Store[] {
  return (stores?.found ?? []).filter((store) => store.configured < store.models);
}

/** `LM Studio, Ollama and Jan`. */
export function names(stores: readonly Store[]): string {
  const all = [...new Set(stores.map((store) => store.store))];
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

/** How many could be used that are not yet. */
export function left(stores: Stores): number {
  return stores.models - stores.configured;
}

/** `Found 14 models in LM Studio and Ollama (63 GiB)`; of what is configured already only the number is told. */
export function offer(stores: Stores): string {
  const where = `in ${names(worthOffering(stores))}`;
  const many = left(stores);
  if (stores.configured) return `Found ${many} more ${many === 1 ? 'model' : 'models'} ${where}`;
  return `Found ${plural(many, 'model')} ${where} (${bytes(stores.bytes)})`;
}

/** Why nothing is offered. */
export function silence(stores: Stores | null, failed: boolean): string {
  if (failed) return 'They could not be looked for.';
  if (!stores) return 'Looking where other programs keep models…';
  if (stores.found.length) return 'Those that other programs keep are all in the configuration.';
  return 'None were found where LM Studio, Ollama, Hugging Face, llama.cpp, Jan or GPT4All keep theirs.';
}
