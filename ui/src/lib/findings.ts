/** Where is a finding, in words and as a line? Two parts of the server write it in two ways. */
import type { Finding } from './api/types';

export function lineOf(finding: Finding): number | null {
  if (finding.line) return finding.line;
  const match = /:(\d+):\d+$/.exec(finding.place ?? '');
  return match ? Number(match[1]) : null;
}

export function columnOf(finding: Finding): number | null {
  if (finding.column) return finding.column;
  const match = /:(\d+)$/.exec(finding.place ?? '');
  return match ? Number(match[1]) : null;
}

const RANK = { error: 0, warning: 1, note: 2 };

export function worstFirst(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => RANK[a.severity] - RANK[b.severity]);
}

export function colourOf(finding: Finding): 'bad' | 'warn' | '' {
  return finding.severity === 'error' ? 'bad' : finding.severity === 'warning' ? 'warn' : '';
}
