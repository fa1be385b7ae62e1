/**
 * What does this browser keep of the conversations? One record each, so that two tabs write beside each other, and what
 * they know of the same one is merged by the ids of its messages. A tab also remembers which ones it has open.
 */
import { restoredAttached } from './attachments/attached';
import { type Message, type Parameters, emptyAnswer, newId, restoredParameters, userMessage } from './conversation';

export interface Thread {
  id: string;
  model: string;
  messages: Message[];
  /** Ids of messages that were replaced: another tab that still has them is not to bring them back. */
  removed: string[];
}

/** What one tab has open, and the message that is being written in it. */
export interface Opened {
  threads: Thread[];
  parameters: Parameters;
  draft: string;
}

const PREFIX = 'claracore.chat.thread.';
const TAB = 'claracore.chat.tab';
/** The key of an interface that kept everything in one record. */
const OLDER = 'claracore.chat';

export function newThread(model: string): Thread {
  return { id: newId(), model, messages: [], removed: [] };
}

/** Of two versions of a message the one that knows more: the finished one, else the longer; `a` where they are equal. */
function fuller(a: Message, b: Message): Message {
  const knows = ({ figures, error, text, reasoning }: Message) =>
    (figures || error ? Number.MAX_SAFE_INTEGER / 2 : 0) + text.length + reasoning.length;
  return knows(b) > knows(a) ? b : a;
}

/** What two tabs know of one conversation, in the order in which it was said. The model is that of `a`. */
export function merged(a: Thread, b: Thread): Thread {
  const removed = [...new Set([...a.removed, ...b.removed])];
  const theirs = new Map(b.messages.map((message) => [message.id, message]));
  const ours = new Set(a.messages.map(({ id }) => id));
  const messages = [
    ...a.messages.map((message) => fuller(message, theirs.get(message.id) ?? message)),
    ...b.messages.filter(({ id }) => !ours.has(id)),
  ];
  const left = messages.filter(({ id }) => !removed.includes(id)).sort((one, other) => one.at - other.at);
  return { id: a.id, model: a.model, messages: left, removed };
}

/** Keeps a conversation together with what another tab has written to it. An empty one is no longer kept. */
export function keepThread(thread: Thread): void {
  if (!thread.messages.length) return forgetThread(thread.id);
  const before = readThread(thread.id);
  const whole = before ? merged(thread, before) : thread;
  written(PREFIX + thread.id, whole);
}

export function forgetThread(id: string): void {
  localStorage.removeItem(PREFIX + id);
}

export function readThread(id: string): Thread | null {
  return restoredThread(stored(localStorage, PREFIX + id));
}

/** Which conversation another tab has just written, and what: for `storage` events. */
export function heardThread(event: StorageEvent): Thread | null {
  if (!event.key?.startsWith(PREFIX) || !event.newValue) return null;
  return restoredThread(parsed(event.newValue));
}

/** Remembers what this tab has open: for itself after a reload, and for the next tab that is opened. */
export function rememberOpened({ threads, parameters, draft }: Opened): void {
  const open = threads.map(({ id, model }) => ({ id, model }));
  for (const storage of [sessionStorage, localStorage]) written(TAB, { open, parameters, draft }, storage);
}

export function recallOpened(): Opened {
  const tab = record(stored(sessionStorage, TAB) ?? stored(localStorage, TAB));
  const open = Array.isArray(tab.open) ? tab.open.slice(0, 2).map(record) : older();
  const threads = open.map(({ id, model }) => {
    const fresh = newThread(text(model));
    const kept = readThread(text(id));
    return kept ? { ...kept, model: fresh.model || kept.model } : fresh;
  });
  return {
    threads: threads.length ? threads : [newThread('')],
    parameters: restoredParameters(tab.parameters ?? record(stored(localStorage, OLDER)).parameters),
    draft: text(tab.draft),
  };
}

/** Takes over what an older interface kept: each of its conversations becomes a record. */
function older(): Record<string, unknown>[] {
  const { panes } = record(stored(localStorage, OLDER));
  if (!Array.isArray(panes)) return [];
  return panes.slice(0, 2).map((pane) => {
    const thread = restoredThread({ ...record(pane), id: newId() })!;
    keepThread(thread);
    return { id: thread.id, model: thread.model };
  });
}

/** Reads what was stored by another version, or by nobody: whatever does not fit is left out. */
function restoredThread(found: unknown): Thread | null {
  const { id, model, messages, removed } = record(found);
  if (typeof id !== 'string') return null;
  return {
    id,
    model: text(model),
    messages: (Array.isArray(messages) ? messages : []).flatMap(restoredMessage),
    removed: (Array.isArray(removed) ? removed : []).map(text),
  };
}

function restoredMessage(found: unknown): Message[] {
  const kept = record(found);
  if (kept.role !== 'user' && kept.role !== 'assistant') return [];
  const fresh = kept.role === 'user' ? userMessage('') : emptyAnswer();
  return [
    {
      ...fresh,
      id: text(kept.id) || fresh.id,
      at: typeof kept.at === 'number' ? kept.at : 0,
      text: text(kept.text),
      reasoning: text(kept.reasoning),
      attached: restoredAttached(kept.attached, kept.images),
      error: typeof kept.error === 'string' ? kept.error : null,
      stopped: kept.stopped === true,
      figures: typeof kept.figures === 'object' ? (kept.figures as Message['figures']) : null,
    },
  ];
}

function written(key: string, value: unknown, storage: Storage = localStorage): boolean {
  try {
    storage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function stored(storage: Storage, key: string): unknown {
  return parsed(storage.getItem(key));
}

function parsed(json: string | null): unknown {
  try {
    return JSON.parse(json ?? 'null');
  } catch {
    return null;
  }
}

function record(found: unknown): Record<string, unknown> {
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
}

function text(found: unknown): string {
  return typeof found === 'string' ? found : '';
}
