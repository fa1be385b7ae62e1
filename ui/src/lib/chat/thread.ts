/** What is one conversation, and what do two tabs know of it together? Values and plain functions. */
import {
  type Attached,
  type Figures,
  type Message,
  type Parameters,
  type Part,
  UNSET,
  emptyAnswer,
  newId,
  pictured,
  restoredParameters,
} from './conversation';
import { byTime, chained, follows, sound, tip } from './tree';

export interface Thread {
  id: string;
  model: string;
  /** All versions of all messages: a tree. */
  messages: Message[];
  /** The end of the branch that is looked at. */
  leaf: string | null;
  /** What a person calls it; empty for its first words. */
  title: string;
  /** When it was called so, in milliseconds. */
  titledAt: number;
  parameters: Parameters;
  /** When they were changed, in milliseconds. */
  tunedAt: number;
  /** What the conversations of one comparison have in common; empty for one by itself. */
  comparison: string;
}

export function newThread(model: string, parameters: Parameters = UNSET, comparison = ''): Thread {
  const settings = { title: '', titledAt: 0, parameters: { ...parameters }, tunedAt: 0, comparison };
  return { id: newId(), model, messages: [], leaf: null, ...settings };
}

/** Of two versions of a message the one that knows more: the finished one, else the longer; `a` where they are equal. */
function fuller(a: Message, b: Message): Message {
  const knows = ({ figures, error, text, reasoning }: Message) =>
    (figures || error ? Number.MAX_SAFE_INTEGER / 2 : 0) + text.length + reasoning.length;
  return knows(b) > knows(a) ? b : a;
}

/**
 * What two tabs know of one conversation. No message of either is left out: what was said in both after the same
 * message becomes two branches. The model is that of `a`, which follows `b` where that only went on.
 */
export function merged(a: Thread, b: Thread): Thread {
  const theirs = new Map(b.messages.map((message) => [message.id, message]));
  const ours = new Set(a.messages.map(({ id }) => id));
  const messages = sound(
    [
      ...a.messages.map((message) => fuller(message, theirs.get(message.id) ?? message)),
      ...b.messages.filter(({ id }) => !ours.has(id)),
    ].sort(byTime),
  );
  const titled = b.titledAt > a.titledAt ? b : a;
  const tuned = b.tunedAt > a.tunedAt ? b : a;
  return {
    id: a.id,
    model: a.model,
    messages,
    leaf: follows(messages, a.leaf, b.leaf) ? b.leaf : a.leaf,
    title: titled.title,
    titledAt: titled.titledAt,
    parameters: tuned.parameters,
    tunedAt: tuned.tunedAt,
    comparison: a.comparison,
  };
}

/** Reads what was stored by another version, or by nobody: whatever does not fit is left out. */
export function restoredThread(found: unknown): Thread | null {
  const kept = record(found);
  if (typeof kept.id !== 'string' || !kept.id) return null;
  const rows = list(kept.messages).map(record);
  const fitting = rows.filter(({ role }) => role === 'user' || role === 'assistant');
  const restored = fitting.map(restoredMessage);
  // An older interface kept a list.
  const messages = sound(fitting.some((row) => 'parent' in row) ? restored : chained(restored)).sort(byTime);
  const leaf = messages.find(({ id }) => id === kept.leaf)?.id ?? restored.at(-1)?.id ?? null;
  return {
    id: kept.id,
    model: text(kept.model),
    messages,
    leaf: leaf && tip(messages, leaf),
    title: text(kept.title),
    titledAt: number(kept.titledAt),
    parameters: restoredParameters(kept.parameters),
    tunedAt: number(kept.tunedAt),
    comparison: text(kept.comparison),
  };
}

function restoredMessage(kept: Record<string, unknown>): Message {
  const fresh = emptyAnswer();
  return {
    ...fresh,
    id: text(kept.id) || fresh.id,
    parent: text(kept.parent) || null,
    at: number(kept.at),
    role: kept.role === 'user' ? 'user' : 'assistant',
    text: text(kept.text),
    ...restoredAttached(kept),
    reasoning: text(kept.reasoning),
    error: typeof kept.error === 'string' ? kept.error : null,
    stopped: kept.stopped === true,
    cut: kept.cut === true,
    continues: text(kept.continues) || null,
    model: text(kept.model),
    figures: kept.figures ? restoredFigures(record(kept.figures)) : null,
  };
}

function restoredFigures(kept: Record<string, unknown>): Figures {
  const known = (found: unknown) => (typeof found === 'number' && Number.isFinite(found) ? found : null);
  return {
    first_token_seconds: known(kept.first_token_seconds),
    total_seconds: number(kept.total_seconds),
    prompt_tokens: known(kept.prompt_tokens),
    completion_tokens: known(kept.completion_tokens),
    tokens_per_second: known(kept.tokens_per_second),
  };
}

function restoredAttached(kept: Record<string, unknown>): Attached {
  const parts = list(kept.parts).map(record).flatMap(restoredPart);
  // An older interface knew pictures only.
  const images = list(kept.images).map(text).filter(inside).map(pictured);
  const files = list(kept.files)
    .map(record)
    .map((file) => ({
      name: text(file.name),
      kind: text(file.kind),
      text: text(file.text),
      tokens: typeof file.tokens === 'number' ? file.tokens : null,
    }));
  return { parts: [...images, ...parts], files };
}

/** Whether a picture is in its address, or kept under it: nothing is fetched from elsewhere for what a file says. */
function inside(url: string): boolean {
  return url.startsWith('data:') || url.startsWith('kept:');
}

function restoredPart({ type, image_url: image, input_audio: audio }: Record<string, unknown>): Part[] {
  const { url } = record(image);
  const { data, format } = record(audio);
  if (type === 'image_url' && typeof url === 'string' && inside(url)) return [pictured(url)];
  if (type === 'input_audio' && typeof data === 'string')
    return [{ type, input_audio: { data, format: text(format) } }];
  return [];
}

export function record(found: unknown): Record<string, unknown> {
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
}

export function list(found: unknown): unknown[] {
  return Array.isArray(found) ? found : [];
}

export function text(found: unknown): string {
  return typeof found === 'string' ? found : '';
}

export function number(found: unknown): number {
  return typeof found === 'number' && Number.isFinite(found) ? found : 0;
}
