/** How is a model asked for pictures, and what does it send? OpenAI's shape, as servers of painting models have it. */
import { json } from '../../api/client';

export interface Wish {
  model: string;
  prompt: string;
  /** "1024x768", or empty: the model's server decides. */
  size: string;
  count: number;
  /** The same seed paints the same picture; null: another one each time. */
  seed: number | null;
}

export interface Painted {
  /** A `data:` URL, the name of one that is kept (`bulk.ts`), or an address that the server names. */
  url: string;
  /** For a file: "png". */
  ending: string;
}

export const SIZES = ['512x512', '768x768', '1024x1024', '832x1216', '1216x832', '1536x1024', '1024x1536'];
export const MOST = 8;

export function paintingBody({ model, prompt, size, count, seed }: Wish): Record<string, unknown> {
  const body: Record<string, unknown> = { model, prompt, n: count, response_format: 'b64_json' };
  if (size) body.size = size;
  if (seed !== null) body.seed = seed;
  return body;
}

/** Throws ApiError, or a sentence for an answer without pictures. */
export async function painted(wish: Wish, signal: AbortSignal): Promise<Painted[]> {
  const answer = await json<unknown>('/v1/images/generations', { method: 'POST', body: paintingBody(wish), signal });
  return pictures(answer);
}

export function pictures(answer: unknown): Painted[] {
  const { data } = (answer ?? {}) as { data?: unknown };
  const found = Array.isArray(data) ? data.flatMap(picture) : [];
  if (!found.length) throw new Error('The answer has no picture');
  return found;
}

function picture(row: unknown): Painted[] {
  const { b64_json: packed, url } = (row ?? {}) as { b64_json?: unknown; url?: unknown };
  if (typeof packed === 'string' && packed) {
    const ending = endingOf(packed);
    return [{ url: `data:image/${ending === 'jpg' ? 'jpeg' : ending};base64,${packed}`, ending }];
  }
  return typeof url === 'string' && /^(https?:|data:image\/)/.test(url) ? [{ url, ending: 'png' }] : [];
}

/** What a picture is, by its first bytes in base64. */
export function endingOf(packed: string): string {
  if (packed.startsWith('/9j/')) return 'jpg';
  if (packed.startsWith('UklGR')) return 'webp';
  return 'png';
}

/** A name for a file: the first words of what was wished for. */
export function fileName(prompt: string, index: number, ending: string): string {
  const words = prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return `${words.slice(0, 6).join('-').slice(0, 60) || 'picture'}-${index + 1}.${ending}`;
}
