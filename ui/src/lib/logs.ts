/** Which lines of a log are shown? Which of a history are new, the last ones, those that somebody looks for. Pure. */
import { plain } from './ansi';
import type { LogLine } from './api/types';

/** More lines than anybody reads, few enough for the browser. */
export const KEPT_LINES = 5000;

export interface Line extends LogLine {
  /** Counts up; the key of the line in the list. */
  n: number;
}

const same = (a: LogLine, b: LogLine) => a.text === b.text && (a.at === b.at || a.at === null || b.at === null);

/** The lines of a history that are not shown yet: it may begin with those that are shown last. */
export function beyond(shown: readonly LogLine[], history: readonly LogLine[]): readonly LogLine[] {
  for (let overlap = Math.min(history.length, shown.length); overlap > 0; overlap -= 1) {
    const start = shown.length - overlap;
    if (history.slice(0, overlap).every((line, index) => same(line, shown[start + index]!)))
      return history.slice(overlap);
  }
  return history;
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
