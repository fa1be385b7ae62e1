/** What does this browser keep of what was painted? The last ones, each as a record; their pictures are kept apart. */
import { Records } from '../records';
import { list, number, record, text } from '../thread';
import type { Painted } from './paint';

/** What one wish gave. */
export interface Painting {
  id: string;
  /** When it was there, in milliseconds. */
  at: number;
  prompt: string;
  model: string;
  /** "1024x768", or empty: the model's server decided. */
  size: string;
  /** Null: another one each time. */
  seed: number | null;
  pictures: Painted[];
  /** Of its pictures, as they are kept. */
  bytes: number;
  /** How long it took. */
  seconds: number;
}

export const MOST_PAINTINGS = 50;
export const MOST_BYTES = 100 * 1024 * 1024;

export const paintings = new Records<Painting>('claracore.chat.painting.', restoredPainting);

/** The same ones, the newest first. */
export function newestFirst<P extends Painting>(all: readonly P[]): P[] {
  return all.toSorted((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
}

/** Those that go, the oldest, for the others to be within the bound. The newest stays, however large it is. */
export function overBound<P extends Painting>(all: readonly P[], most = MOST_PAINTINGS, mostBytes = MOST_BYTES): P[] {
  let total = 0;
  const sorted = newestFirst(all);
  const first = sorted.findIndex(({ bytes }, index) => {
    total += bytes;
    return index > 0 && (index >= most || total > mostBytes);
  });
  return first < 0 ? [] : sorted.slice(first);
}

/** Reads what another version, or nobody, has written; null for what is no painting. */
export function restoredPainting(found: unknown): Painting | null {
  const kept = record(found);
  const pictures = list(kept.pictures).map(record).flatMap(restoredPicture);
  if (typeof kept.id !== 'string' || !kept.id || !pictures.length) return null;
  return {
    id: kept.id,
    at: number(kept.at),
    prompt: text(kept.prompt),
    model: text(kept.model),
    size: text(kept.size),
    seed: typeof kept.seed === 'number' ? kept.seed : null,
    pictures,
    bytes: number(kept.bytes),
    seconds: number(kept.seconds),
  };
}

function restoredPicture({ url, ending }: Record<string, unknown>): Painted[] {
  const fits = typeof url === 'string' && /^(kept:[a-z0-9]+$|https?:\/\/)/.test(url);
  return fits ? [{ url, ending: text(ending) || 'png' }] : [];
}
