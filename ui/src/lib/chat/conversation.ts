/** What is a conversation, and what is sent of it? Values and plain functions. */

export interface Figures {
  first_token_seconds: number | null;
  total_seconds: number;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  tokens_per_second: number | null;
  /** Whether nobody said how many tokens there were: they were counted as they came. */
  counted?: boolean;
}

/** A part of a message as OpenAI's API has it. */
export type Part =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string } }
  | { type: 'input_audio'; input_audio: { data: string; format: string } };

/** Text of a file that is put into the context. */
export interface AttachedFile {
  name: string;
  kind: string;
  text: string;
  /** Null while it is not counted. */
  tokens: number | null;
}

/** What a question carries beside its text. */
export interface Attached {
  /** Pictures and sounds; their addresses are `data:` URLs. */
  parts: Part[];
  files: AttachedFile[];
}

export interface Message extends Attached {
  id: string;
  /** The message before this one; null for a first one. Messages with the same one are versions to choose from. */
  parent: string | null;
  /** When it was begun, in milliseconds. */
  at: number;
  role: 'user' | 'assistant';
  text: string;
  reasoning: string;
  error: string | null;
  stopped: boolean;
  /** Whether it ended because it had become as long as it may. */
  cut: boolean;
  /** The version that this one goes on from. */
  continues: string | null;
  /** Who answered. */
  model: string;
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

export const NOTHING: Attached = { parts: [], files: [] };

export function userMessage(text: string, { parts, files }: Attached = NOTHING, parent: string | null = null): Message {
  return { ...emptyAnswer(parent), role: 'user', text, parts, files };
}

export function emptyAnswer(parent: string | null = null, model = ''): Message {
  return {
    id: newId(),
    parent,
    at: Date.now(),
    role: 'assistant',
    text: '',
    parts: [],
    files: [],
    reasoning: '',
    error: null,
    stopped: false,
    cut: false,
    continues: null,
    model,
    figures: null,
  };
}

export function pictured(url: string): Part {
  return { type: 'image_url', image_url: { url } };
}

/** Whether an answer broke off: nobody writes it, and it has no end. */
export function brokenOff({ role, figures, error, stopped }: Message): boolean {
  return role === 'assistant' && !figures && !error && !stopped;
}

export interface Wire {
  role: 'system' | 'user' | 'assistant';
  content: string | Part[];
}

/** Whether an answer has an end that is none, also by a failure, so that it can be gone on with. */
export function unfinished(message: Message): boolean {
  return message.text !== '' && (message.stopped || message.cut || message.error !== null || brokenOff(message));
}

/** The messages to send: failed and empty answers are left out, reasoning is not sent back. */
export function wire(messages: readonly Message[], system: string): Wire[] {
  const sent: Wire[] = system.trim() ? [{ role: 'system', content: system }] : [];
  for (const { role, text, parts, files } of messages) {
    if (role === 'assistant' && !text) continue;
    const words = [...files.map(inContext), text].filter(Boolean).join('\n\n');
    if (!parts.length) sent.push({ role, content: words });
    else sent.push({ role, content: [...(words ? [{ type: 'text' as const, text: words }] : []), ...parts] });
  }
  return sent;
}

/** A file as it stands in what is sent. */
export function inContext({ name, text }: AttachedFile): string {
  return `<file name="${name}">\n${text}\n</file>`;
}

export function requestBody(
  model: string,
  messages: readonly Message[],
  parameters: Parameters,
): Record<string, unknown> {
  const body: Record<string, unknown> = {
    model,
    messages: wire(messages, parameters.system),
    stream: true,
    stream_options: { include_usage: true },
  };
  // An answer to go on with is the last message. llama-server refuses that of a model that is to think first.
  if (messages.at(-1)?.role === 'assistant') body.chat_template_kwargs = { enable_thinking: false };
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
