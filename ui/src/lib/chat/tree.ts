/**
 * How do the messages of a conversation hang together, and which of them are shown? Each names the one before it, so
 * that a question that was changed and an answer that was made again stand beside the first. Nothing is ever taken out.
 */
import type { Message } from './conversation';

/** Sorts by when messages were begun; the same in every tab. */
export function byTime(a: Message, b: Message): number {
  return a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** The messages from the first to `leaf`; none without one. */
export function path(messages: readonly Message[], leaf: string | null): Message[] {
  const known = new Map(messages.map((message) => [message.id, message]));
  const found: Message[] = [];
  for (let at = known.get(leaf ?? ''); at; at = known.get(at.parent ?? '')) found.push(at);
  return found.reverse();
}

/**
 * The versions among which a person can choose at a message, itself included, in the order of time. A version that
 * another one continues is in that one already.
 */
export function versions(messages: readonly Message[], message: Message): Message[] {
  const beside = messages.filter(({ parent }) => parent === message.parent);
  const continued = new Set(beside.map(({ continues }) => continues));
  const parents = new Set(messages.map(({ parent }) => parent));
  const superseded = ({ id }: Message) => continued.has(id) && !parents.has(id) && id !== message.id;
  return beside.filter((each) => !superseded(each)).sort(byTime);
}

/** The end of the newest of the branches that go through a message. */
export function tip(messages: readonly Message[], id: string): string {
  const children = new Map<string, Message[]>();
  for (const message of messages) {
    const known = children.get(message.parent ?? '');
    if (known) known.push(message);
    else children.set(message.parent ?? '', [message]);
  }
  const ends: Message[] = [];
  const open = messages.filter((message) => message.id === id);
  for (let at = open.pop(); at; at = open.pop()) {
    const next = children.get(at.id);
    if (next) open.push(...next);
    else ends.push(at);
  }
  return ends.sort(byTime).at(-1)?.id ?? id;
}

/** Whether `below` comes after `above` on one branch, or is it; everything comes after nothing. */
export function follows(messages: readonly Message[], above: string | null, below: string | null): boolean {
  return above === null || path(messages, below).some(({ id }) => id === above);
}

/** Makes a tree of what somebody else wrote: each id once, and no message that follows an unknown one, or itself. */
export function sound(messages: readonly Message[]): Message[] {
  const known = new Map<string, Message>();
  for (const message of messages) if (!known.has(message.id)) known.set(message.id, message);
  const parents = new Map<string, string | null>();
  for (const { id, parent } of known.values()) parents.set(id, known.has(parent ?? '') ? parent : null);
  for (const id of known.keys()) {
    const passed = new Set<string>();
    for (let at: string | null = id; at !== null; at = parents.get(at) ?? null) {
      passed.add(at);
      if (passed.has(parents.get(at) ?? '')) parents.set(at, null);
    }
  }
  return [...known.values()].map((message) => {
    const parent = parents.get(message.id) ?? null;
    return parent === message.parent ? message : { ...message, parent };
  });
}

/** Puts messages of an older interface, which were a list, behind one another. */
export function chained(messages: readonly Message[]): Message[] {
  return messages.map((message, index) => ({ ...message, parent: messages[index - 1]?.id ?? null }));
}
