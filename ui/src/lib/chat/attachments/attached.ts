/** What goes with a message, and how is it sent? Texts stand before the question, pictures and sound are parts of it. */
import { contentOf } from './bulk';

export interface Attached {
  kind: 'image' | 'sound' | 'text';
  name: string;
  /** The name of its content (`bulk.ts`): of pictures and sound a `data:` URL, of texts the text. */
  at: string;
  /** About how many tokens it will be. */
  tokens: number;
}

export type Part =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string } }
  | { type: 'input_audio'; input_audio: { data: string; format: string } };

/** Contents by their names; null for one that is gone. */
export type Contents = ReadonlyMap<string, string | null>;

/** Fetches the contents of everything that goes with these messages. */
export async function contentsOf(messages: readonly { attached: readonly Attached[] }[]): Promise<Contents> {
  const names = new Set(messages.flatMap(({ attached }) => attached.map(({ at }) => at)));
  return new Map(await Promise.all([...names].map(async (name) => [name, await contentOf(name)] as const)));
}

/** A message's content as it is sent: a plain text wherever that is enough. */
export function sentContent(text: string, attached: readonly Attached[], contents: Contents): string | Part[] {
  const words = [...attached.map((each) => inWords(each, contents)), text].filter(Boolean).join('\n\n');
  const parts = attached.flatMap((each) => part(each, contents));
  if (!parts.length) return words;
  return words ? [{ type: 'text', text: words }, ...parts] : parts;
}

/** A text file between lines that name it, as llama.cpp's own page does; what is gone is said. */
export function inWords({ kind, name, at }: Attached, contents: Contents): string {
  const content = contents.get(at) ?? null;
  if (content === null) return `(${name} is no longer there)`;
  return kind === 'text' ? `--- File: ${name} ---\n${content}\n--- End of ${name} ---` : '';
}

function part({ kind, at }: Attached, contents: Contents): Part[] {
  const content = contents.get(at);
  if (!content || kind === 'text') return [];
  if (kind === 'image') return [{ type: 'image_url', image_url: { url: content } }];
  const format = /^data:audio\/(mpeg|mp3)/.test(content) ? 'mp3' : 'wav';
  return [{ type: 'input_audio', input_audio: { data: content.slice(content.indexOf(',') + 1), format } }];
}

/** Reads what was stored by another version, or by nobody; an older one kept pictures as plain `data:` URLs. */
export function restoredAttached(attached: unknown, images?: unknown): Attached[] {
  const kept = Array.isArray(attached) ? attached.flatMap(restored) : [];
  const older = Array.isArray(images) ? images.filter((url) => typeof url === 'string' && url.startsWith('data:')) : [];
  return [
    ...kept,
    ...older.map((at: string, index) => ({ kind: 'image' as const, name: `Picture ${index + 1}`, at, tokens: 0 })),
  ];
}

function restored(found: unknown): Attached[] {
  if (typeof found !== 'object' || found === null) return [];
  const { kind, name, at, tokens } = found as Record<string, unknown>;
  if ((kind !== 'image' && kind !== 'sound' && kind !== 'text') || typeof at !== 'string') return [];
  return [{ kind, at, name: typeof name === 'string' ? name : kind, tokens: typeof tokens === 'number' ? tokens : 0 }];
}
