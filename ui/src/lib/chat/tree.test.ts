import { expect, test } from 'vitest';
import { type Message, emptyAnswer, userMessage } from './conversation';
import { type Thread, merged, newThread, restoredThread } from './thread';
import { byTime, chained, path, sound, tip, versions } from './tree';

const said = (id: string, parent: string | null, at: number, more: Partial<Message> = {}): Message => ({
  ...(at % 2 ? userMessage(id) : emptyAnswer()),
  text: id,
  ...more,
  id,
  parent,
  at,
});
const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

test('an edited question and an answer made again are versions; each branch is whole', () => {
  const tree = [said('q', null, 1), said('a', 'q', 2), said('b', 'q', 4), said('more', 'b', 5), said('Q', null, 7)];
  expect(ids(path(tree, 'more'))).toEqual(['q', 'b', 'more']);
  expect(ids(versions(tree, tree[1]!))).toEqual(['a', 'b']);
  expect(ids(versions(tree, tree[0]!))).toEqual(['q', 'Q']);
  expect(tip(tree, 'q')).toBe('more');
  expect(tip(tree, 'a')).toBe('a');
  expect(path(tree, null)).toEqual([]);
});

test('an answer that was gone on with is no version beside it, unless it is looked at or was answered', () => {
  const old = said('a', 'q', 2, { stopped: true });
  const tree = [said('q', null, 1), old, said('A', 'q', 4, { continues: 'a' })];
  expect(ids(versions(tree, tree[2]!))).toEqual(['A']);
  expect(ids(versions(tree, old))).toEqual(['a', 'A']);
  expect(ids(versions([...tree, said('r', 'a', 5)], tree[2]!))).toEqual(['a', 'A']);
});

test('what is no tree is made one, and keeps all messages', () => {
  const odd = [said('a', 'b', 1), said('b', 'a', 2), said('c', 'c', 3), said('d', 'gone', 4), said('a', null, 5)];
  const made = sound(odd);
  expect(ids(made)).toEqual(['a', 'b', 'c', 'd']);
  for (const { id } of made) expect(path(made, id)[0]!.parent).toBeNull();
  const fine = [said('a', null, 1), said('b', 'a', 2)];
  expect(sound(fine)[1]).toBe(fine[1]);
});

test('a list becomes a chain', () => {
  expect(chained([said('a', null, 1), said('b', null, 1)]).map(({ parent }) => parent)).toEqual([null, 'a']);
});

/** Numbers that look like chance and are the same at every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed * 2654435761 + 1;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

/** What a tab does to a conversation: asks, asks otherwise, has an answer made again, goes on, looks elsewhere. */
function worked(thread: Thread, tab: string, steps: number, roll: (sides: number) => number): Thread {
  const messages = [...thread.messages];
  let { leaf } = thread;
  for (let step = 0; step < steps; step++) {
    const any = messages[roll(messages.length + 1)];
    const parent = [leaf, any?.id ?? null, any?.parent ?? null][roll(3)]!;
    const fresh = said(`${tab}${messages.length}.${step}`, parent, 10 + roll(5) + messages.length, {
      continues: roll(4) ? null : (any?.id ?? null),
    });
    messages.push(fresh);
    leaf = fresh.id;
    if (!roll(3)) leaf = tip(messages, messages[roll(messages.length)]!.id);
  }
  return { ...thread, messages, leaf };
}

const sorted = (thread: Thread) => [...thread.messages].sort(byTime);

test.each(Array.from({ length: 60 }, (_, seed) => seed))(
  'tabs that work beside each other lose nothing (%i)',
  (seed) => {
    const roll = dice(seed);
    const start = worked({ ...newThread('m'), id: 'x' }, 's', roll(6), roll);
    const [a, b, c] = ['a', 'b', 'c'].map((tab) => worked(start, tab, roll(7), roll)) as [Thread, Thread, Thread];
    const both = merged(a, b);
    const known = new Set([...ids(a.messages), ...ids(b.messages)]);
    expect(new Set(ids(both.messages))).toEqual(known);
    // Each message is where it was, and can be reached from the first by choosing versions.
    for (const message of [...a.messages, ...b.messages]) {
      const way = path(both.messages, message.id);
      expect(way.at(-1)).toEqual(message);
      expect(ids(way)).toEqual(ids(path((a.messages.includes(message) ? a : b).messages, message.id)));
      for (const each of way) expect(ids(versions(both.messages, each))).toContain(each.id);
    }
    // Who merges, in which order and how often, makes no difference.
    expect(merged(b, a).messages).toEqual(both.messages);
    expect(merged(both, b).messages).toEqual(both.messages);
    expect(merged(merged(a, b), c).messages).toEqual(merged(a, merged(b, c)).messages);
    expect(merged(a, a).messages).toEqual(sorted(a));
    // The branch that is looked at is one of those there are, and stays where this tab had it, or goes on from there.
    const shown = ids(path(both.messages, both.leaf));
    expect(shown).toEqual(expect.arrayContaining(ids(path(a.messages, a.leaf))));
    // What is written is read back as it was.
    const leaf = both.leaf && tip(both.messages, both.leaf);
    expect(restoredThread(JSON.parse(JSON.stringify(both)))).toEqual({ ...both, leaf });
  },
);
