/**
 * What does this browser keep of the conversations? One record each, so that two tabs write beside each other, and what
 * they know of the same one is merged by the ids of its messages. A tab also remembers which ones it has open.
 */
import { newId, restoredParameters } from './conversation';
import { type Change, Records, stored, written } from './records';
import { type Thread, list, merged, newThread, record, restoredThread, text } from './thread';
import { tip } from './tree';

/** How many conversations stand beside one another at most. */
export const MOST_PANES = 4;

/** What one tab has open, and the message that is being written in it. */
export interface Opened {
  threads: Thread[];
  draft: string;
}

const records = new Records<Thread>('claracore.chat.thread.', restoredThread);
const TAB = 'claracore.chat.tab';
/** The key of an interface that kept everything in one record. */
const OLDER = 'claracore.chat';

type Listener = (id: string, thread: Thread | null) => void;
const listeners = new Set<Listener>();

/** Calls `listener` when this tab has kept a conversation, or forgotten one. */
export function onKept(listener: Listener): void {
  listeners.add(listener);
}

/**
 * Keeps a conversation together with what another tab has written to it. An empty one is no longer kept. False where the
 * browser has no room for it.
 */
export function keepThread(thread: Thread): boolean {
  if (!thread.messages.length) {
    if (records.has(thread.id)) forgetThread(thread.id);
    return true;
  }
  const before = readThread(thread.id);
  const whole = before ? merged(thread, before) : thread;
  const bare = { ...whole, messages: whole.messages.map((message) => ({ ...message, parts: [] })) };
  // Over the browser's quota: once more without pictures and sounds.
  const kept = records.write(thread.id, whole) || records.write(thread.id, bare);
  if (kept) for (const listener of listeners) listener(thread.id, whole);
  return kept;
}

export function forgetThread(id: string): void {
  records.forget(id);
  for (const listener of listeners) listener(id, null);
}

export function readThread(id: string): Thread | null {
  return records.read(id);
}

export function allThreads(): Thread[] {
  return records.all();
}

/** Which conversation another tab has just written or deleted, for `storage` events. */
export function heardChange(event: StorageEvent): Change<Thread> | null {
  return records.heard(event);
}

/** Remembers what this tab has open: for itself after a reload, and for the next tab that is opened. */
export function rememberOpened({ threads, draft }: Opened): void {
  const open = threads.map(({ id, model, leaf, parameters }) => ({ id, model, leaf, parameters }));
  for (const storage of [sessionStorage, localStorage]) written(TAB, { open, draft }, storage);
}

export function recallOpened(): Opened {
  const tab = record(stored(sessionStorage, TAB) ?? stored(localStorage, TAB));
  const open = Array.isArray(tab.open) ? tab.open.slice(0, MOST_PANES).map(record) : older();
  const threads = open.map(({ id, model, leaf, parameters }) => {
    // The parameters of all conversations were in one place.
    const fresh = newThread(text(model), restoredParameters(parameters ?? tab.parameters));
    const kept = readThread(text(id));
    if (!kept) return fresh;
    const seen = kept.messages.find((message) => message.id === leaf)?.id ?? kept.leaf;
    return { ...kept, model: fresh.model || kept.model, leaf: seen && tip(kept.messages, seen) };
  });
  return { threads: threads.length ? threads : [newThread('')], draft: text(tab.draft) };
}

/** Takes over what an older interface kept: each of its conversations becomes a record. */
function older(): Record<string, unknown>[] {
  const { panes, parameters } = record(stored(localStorage, OLDER));
  return list(panes)
    .slice(0, MOST_PANES)
    .map((pane) => {
      const thread = restoredThread({ ...record(pane), parameters, id: newId() })!;
      keepThread(thread);
      return { id: thread.id, model: thread.model };
    });
}
