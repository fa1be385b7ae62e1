/** Which conversations are there, in which order, and which of them are meant? Pure. */
import type { Thread } from '../thread';

/** A line of the history: one conversation, or those of one comparison. */
export interface Entry {
  /** The id of the comparison, or of the conversation. */
  key: string;
  threads: Thread[];
  title: string;
  /** When something was said last, in milliseconds. */
  at: number;
}

export interface Day {
  name: 'Today' | 'Yesterday' | 'Earlier';
  entries: Entry[];
}

const TITLE_LENGTH = 60;
export const UNTITLED = 'Untitled';

/** What a person calls a conversation, or its first words, in one line. */
export function titleOf({ title, messages }: Thread): string {
  if (title) return title;
  const asked = messages.filter(({ role }) => role === 'user');
  const files = asked.flatMap((message) => message.files.map(({ name }) => name));
  const said = asked.find(({ text }) => text.trim())?.text ?? files[0] ?? '';
  return firstWords(said) || UNTITLED;
}

/** So much of a text as a title has room for. */
export function firstWords(text: string): string {
  const words = text.trim().replace(/\s+/g, ' ');
  if (words.length <= TITLE_LENGTH) return words;
  const cut = words.slice(0, TITLE_LENGTH);
  const space = cut.lastIndexOf(' ');
  return `${space > TITLE_LENGTH / 2 ? cut.slice(0, space) : cut}…`;
}

/** The lines of the history, the newest first. */
export function entriesOf(threads: Iterable<Thread>): Entry[] {
  const found = new Map<string, Entry>();
  for (const thread of threads) {
    const key = thread.comparison || thread.id;
    const at = Math.max(0, ...thread.messages.map((message) => message.at));
    const entry = found.get(key);
    if (!entry) found.set(key, { key, threads: [thread], title: titleOf(thread), at });
    else {
      entry.threads.push(thread);
      entry.at = Math.max(entry.at, at);
      if (thread.title) entry.title = thread.title;
    }
  }
  return [...found.values()].sort((a, b) => b.at - a.at || (a.key < b.key ? -1 : 1));
}

/** The texts of conversations, for searching: made once, they are searched at every key. */
const known = new WeakMap<Thread, string>();

function textOf(thread: Thread): string {
  let found = known.get(thread);
  if (found === undefined) {
    found = thread.messages.map(({ text }) => text.toLowerCase()).join('\n');
    known.set(thread, found);
  }
  return found;
}

/** Those in whose title or texts all of these words stand. */
export function searched(entries: readonly Entry[], wanted: string): Entry[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [...entries];
  return entries.filter(({ title, threads }) => {
    const texts = [title.toLowerCase(), ...threads.map(textOf)];
    return words.every((word) => texts.some((text) => text.includes(word)));
  });
}

/** The lines by the day on which something was said last; days are those of the reader's clock. */
export function byDay(entries: readonly Entry[], now: Date): Day[] {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1).getTime();
  const days: Day[] = [
    { name: 'Today', entries: entries.filter(({ at }) => at >= today) },
    { name: 'Yesterday', entries: entries.filter(({ at }) => at < today && at >= yesterday) },
    { name: 'Earlier', entries: entries.filter(({ at }) => at < yesterday) },
  ];
  return days.filter((day) => day.entries.length);
}
