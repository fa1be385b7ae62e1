/** Which lines of a log are shown? Joins history with what came meanwhile, keeps the last ones, filters. Pure. */
import { plain } from './ansi';
import type { LogLine } from './api/types';

/** More lines than anybody reads, few enough for the browser. */
export const KEPT_LINES = 5000;

export interface Line extends LogLine {
  /** Counts up; the key of the line in the list. */
  n: number;
}

const same = (a: LogLine, b: LogLine) => a.text === b.text && (a.at === b.at || a.at === null || b.at === null);

/** History was asked for after the stream began, so its end may repeat the beginning of what came: it is said once. */
export function joined<T extends LogLine>(history: readonly T[], came: readonly T[]): T[] {
  for (let overlap = Math.min(history.length, came.length); overlap > 0; overlap -= 1) {
    const start = history.length - overlap;
    if (came.slice(0, overlap).every((line, index) => same(line, history[start + index]!)))
      return [...history, ...came.slice(overlap)];
  }
  return [...history, ...came];
}

export function kept<T>(lines: T[]): T[] {
  return lines.length > KEPT_LINES ? lines.slice(-KEPT_LINES) : lines;
}

export type Level = 'debug' | 'info' | 'warning' | 'error';
const ORDER: Record<string, number> = { debug: 0, info: 1, warning: 2, warn: 2, error: 3, critical: 3 };

/** llama.cpp writes `0.01.538 W text`; others write the word. Null when the line does not tell. */
export function levelOf(line: LogLine): Level | null {
  const word = (line.level ?? '').toLowerCase();
  const known = ORDER[word];
  if (known !== undefined) return (['debug', 'info', 'warning', 'error'] as const)[known]!;
  const letter = /^[\d.]+ ([DIWE]) /.exec(line.text)?.[1];
  if (letter) return ({ D: 'debug', I: 'info', W: 'warning', E: 'error' } as const)[letter as 'D' | 'I' | 'W' | 'E'];
  if (/\berror\b|\bfailed\b|traceback/i.test(line.text)) return 'error';
  return /\bwarn(ing)?\b/i.test(line.text) ? 'warning' : null;
}

/** Lines that hold all words and are at least this bad; lines without a level count as info. */
export function matching<T extends LogLine>(lines: readonly T[], wanted: string, least: Level): T[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length && least === 'debug') return [...lines];
  return lines.filter((line) => {
    if (ORDER[levelOf(line) ?? 'info']! < ORDER[least]!) return false;
    const text = plain(line.text).toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
