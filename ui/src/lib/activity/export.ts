/** How does activity look as a file? CSV for spreadsheets, Markdown for people. Pure. */
import type { ActivityRow } from '../api/types';

/** What a file has of each request, in this order. */
const COLUMNS: (keyof ActivityRow)[] = [
  'at',
  'request_id',
  'model',
  'node',
  'path',
  'status',
  'error',
  'session',
  'key',
  'queue_seconds',
  'load_seconds',
  'first_token_seconds',
  'total_seconds',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'tokens_per_second',
];

function told(row: ActivityRow, column: keyof ActivityRow): string {
  const value = row[column];
  if (value === null || value === undefined) return '';
  return column === 'at' ? new Date(row.at * 1000).toISOString() : String(value);
}

/** RFC 4180. What a spreadsheet would take for a formula is made text. */
export function csv(rows: readonly ActivityRow[]): string {
  const cell = (text: string) => {
    const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = rows.map((row) => COLUMNS.map((column) => cell(told(row, column))).join(','));
  return [COLUMNS.join(','), ...lines, ''].join('\r\n');
}

export function markdown(rows: readonly ActivityRow[]): string {
  const cell = (text: string) => text.replace(/[\\|]/g, '\\$&').replace(/\s+/g, ' ');
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  const body = rows.map((row) => line(COLUMNS.map((column) => cell(told(row, column)))));
  return line(COLUMNS) + line(COLUMNS.map(() => '---')) + body.join('');
}
