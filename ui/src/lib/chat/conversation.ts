/** What is a conversation, and what is sent of it? Values and plain functions. */
import { type Attached, type Contents, type Part, sentContent } from './attachments/attached';

export interface Figures {
  first_token_seconds: number | null;
  total_seconds: number;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  tokens_per_second: number | null;
}

export interface Message {
  id: string;
  /** When it was begun, in milliseconds. */
  at: number;
  role: 'user' | 'assistant';
  text: string;
  attached: Attached[];
  reasoning: string;
  error: string | null;
  stopped: boolean;
  figures: Figures | null;
}

/** Null is "not sent": the model's server decides. */
export interface Parameters {
  system: string;
  temperature: number | null;
  top_p: number | null;
  top_k: number | null;
  min_p: number | null;
  max_tokens: number | null;
  repeat_penalty: number | null;
  seed: number | null;
  stop: string;
}

export const UNSET: Parameters = {
  system: '',
  temperature: null,
  top_p: null,
  top_k: null,
  min_p: null,
  max_tokens: null,
  repeat_penalty: null,
  seed: null,
  stop: '',
};

export interface NumberField {
  key: Exclude<keyof Parameters, 'system' | 'stop'>;
  label: string;
  hint: string;
  min: number;
  max: number;
  step: number;
}

export const FIELDS: NumberField[] = [
  { key: 'temperature', label: 'Temperature', hint: '0 is always the same, 1 is lively', min: 0, max: 2, step: 0.05 },
  {
    key: 'top_p',
    label: 'Top p',
    hint: 'Only the likeliest words that make up this share',
    min: 0,
    max: 1,
    step: 0.01,
  },
  { key: 'top_k', label: 'Top k', hint: 'Only the k likeliest words', min: 0, max: 1000, step: 1 },
  {
    key: 'min_p',
    label: 'Min p',
    hint: 'Only words this likely, measured by the likeliest',
    min: 0,
    max: 1,
    step: 0.01,
  },
  { key: 'max_tokens', label: 'Longest answer', hint: 'In tokens', min: 1, max: 1_000_000, step: 1 },
  { key: 'repeat_penalty', label: 'Repeat penalty', hint: '1 is none', min: 0.5, max: 2, step: 0.01 },
  { key: 'seed', label: 'Seed', hint: 'The same seed gives the same answer', min: 0, max: 4_294_967_295, step: 1 },
];

export function newId(): string {
  return Math.random().toString(36).slice(2, 11);
}

export function userMessage(text: string, attached: Attached[] = []): Message {
  return { ...emptyAnswer(), role: 'user', text, attached };
}

export function emptyAnswer(): Message {
  return {
    id: newId(),
    at: Date.now(),
    role: 'assistant',
    text: '',
    attached: [],
    reasoning: '',
    error: null,
    stopped: false,
    figures: null,
  };
}

/** Whether an answer broke off: nobody writes it, and it has no end. */
export function brokenOff({ role, figures, error, stopped }: Message): boolean {
  return role === 'assistant' && !figures && !error && !stopped;
}

export interface Wire {
  role: 'system' | 'user' | 'assistant';
  content: string | Part[];
}

/** The messages to send: failed and empty answers are left out, reasoning is not sent back. */
export function wire(messages: readonly Message[], system: string, contents: Contents): Wire[] {
  const sent: Wire[] = system.trim() ? [{ role: 'system', content: system }] : [];
  for (const { role, text, attached } of messages)
    if (role === 'user' || text) sent.push({ role, content: sentContent(text, attached, contents) });
  return sent;
}

export function requestBody(
  model: string,
  messages: readonly Message[],
  parameters: Parameters,
  contents: Contents,
): Record<string, unknown> {
  const body: Record<string, unknown> = {
    model,
    messages: wire(messages, parameters.system, contents),
    stream: true,
    stream_options: { include_usage: true },
  };
  for (const { key } of FIELDS) if (parameters[key] !== null) body[key] = parameters[key];
  const stop = parameters.stop.split('\n').filter(Boolean);
  if (stop.length) body.stop = stop;
  return body;
}

/** How many parameters differ from what the server would do by itself. */
export function countSet(parameters: Parameters): number {
  const numbers = FIELDS.filter(({ key }) => parameters[key] !== null).length;
  return numbers + (parameters.system.trim() ? 1 : 0) + (parameters.stop ? 1 : 0);
}

/** Reads what was stored by an older interface, or by nobody: whatever does not fit is left out. */
export function restoredParameters(stored: unknown): Parameters {
  const found: Parameters = { ...UNSET };
  if (typeof stored !== 'object' || stored === null) return found;
  const old = stored as Record<string, unknown>;
  for (const { key } of FIELDS) if (typeof old[key] === 'number') found[key] = old[key];
  for (const key of ['system', 'stop'] as const) if (typeof old[key] === 'string') found[key] = old[key];
  return found;
}
