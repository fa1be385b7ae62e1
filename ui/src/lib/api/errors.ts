/** Which errors can a page meet? One type, made from the OpenAI envelope or from the network's silence. */
import type { Finding } from './types';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = '',
    readonly findings: Finding[] = [],
    /** All that the envelope says, as engines add numbers of their own. */
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** The key is valid, and not for this; a page or host that is refused is another thing. */
  get lacksScope(): boolean {
    return this.status === 403 && this.message.includes('does not have the scope');
  }

  /** The server could not be reached at all. */
  get offline(): boolean {
    return this.status === 0;
  }
}

/** Reads an error answer. A body without an envelope still gives a sentence. */
export function errorFrom(status: number, body: string): ApiError {
  let envelope: unknown;
  try {
    envelope = JSON.parse(body);
  } catch {
    envelope = null;
  }
  const error = isRecord(envelope) && isRecord(envelope.error) ? envelope.error : null;
  if (!error) return new ApiError(status, body.trim().slice(0, 500) || `the server answered with status ${status}`);
  const findings = Array.isArray(error.findings) ? (error.findings as Finding[]) : [];
  return new ApiError(status, String(error.message ?? `status ${status}`), String(error.code ?? ''), findings, error);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Its first line: what a model's server printed last comes below it, and would cover much. */
export function firstLine(error: unknown): string {
  return sentence(error).split('\n')[0]!;
}

/** What happened, without what could be done about it: for where that is a click away. */
export function headline(error: unknown): string {
  return firstLine(error).split(/\.\s+(?=[A-Z])/)[0]!;
}

/** The sentence to show for anything that was thrown. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
