/** Would a model of the hub run on this machine, and how fast? In words. Pure. */
import type { Prospect, Suggestion, Variant } from '../api/types';
import { context, rate } from '../format';

export interface Mark {
  words: string;
  colour: '' | 'ok' | 'warn' | 'bad';
}

/** Tokens per second below which nobody likes to wait. */
const SLOW = 5;

/** "42 tokens/s expected", with no more digits than a prediction deserves. */
export function speedWords(writing: number): string {
  return `${writing >= 10 ? Math.round(writing) : rate(writing)} tokens/s expected`;
}

/** What a size alone says, and a speed where it is known. */
export function sizeMark(fit: Variant['fit'], writing: number | null): Mark {
  if (fit === 'nowhere') return { words: 'too large', colour: 'bad' };
  if (writing !== null) return speedMark(writing);
  return { words: fit === 'gpu' ? 'fits the GPU' : 'fits memory', colour: 'ok' };
}

export function suggestionMark(suggestion: Suggestion): Mark {
  return sizeMark(suggestion.fit, suggestion.writing);
}

/** What is known of one quantization: its plan, when there is one, and else its size. */
export function variantMark(variant: Variant, prospect: Prospect | undefined): Mark {
  if (variant.missing) return { words: 'incomplete', colour: 'bad' };
  if (!prospect) return sizeMark(variant.fit, null);
  if (!prospect.fits) return { words: 'too large', colour: 'bad' };
  if (prospect.writing === null) return { words: prospect.words, colour: 'ok' };
  const mark = speedMark(prospect.writing);
  return { ...mark, words: `${mark.words} · ${context(prospect.context)} context` };
}

function speedMark(writing: number): Mark {
  if (writing < SLOW) return { words: `fits, but slow: ${speedWords(writing)}`, colour: 'warn' };
  return { words: `fits: ${speedWords(writing)}`, colour: 'ok' };
}

/** 4022468096 -> "4.0B", 134515008 -> "135M"; empty when not known. */
export function parameters(count: number | null): string {
  if (!count) return '';
  if (count < 999_500_000) return `${Math.round(count / 1e6)}M`;
  const billions = count / 1e9;
  return `${billions < 9.95 ? billions.toFixed(1) : Math.round(billions)}B`;
}

/** 1234567 -> "1.2M", 12345 -> "12k". */
export function short(count: number): string {
  if (count >= 999_500) return `${(count / 1e6).toFixed(1)}M`;
  return count >= 1000 ? `${Math.round(count / 1000)}k` : String(count);
}
