/**
 * Where does the content of what is attached lie? In the browser's database (IndexedDB): the store of the conversations
 * takes 5 MB, of which one photo is a tenth. Messages, and paintings, only name it. Without a database it lives as long
 * as the page.
 */

const KEPT = 'kept:';
const STORE = 'contents';
/** What nobody names is not removed before it is this old, in milliseconds: its message may be about to be kept. */
const SPARED_MS = 24 * 3600 * 1000;

const held = new Map<string, string>();
let opened: Promise<IDBDatabase | null> | undefined;

interface Row {
  content: string;
  at: number;
}

/** Keeps a content and returns its name. It can be read at once; until it is written, only here. */
export function keepContent(content: string): string {
  return storedContent(content).name;
}

/** The same for whoever needs to know whether the browser has it: false where it has no room, or keeps nothing. */
export function storedContent(content: string): { name: string; written: Promise<boolean> } {
  const name = KEPT + Math.random().toString(36).slice(2, 12) + Date.now().toString(36);
  held.set(name, content);
  return { name, written: changed((store) => store.put({ content, at: Date.now() } satisfies Row, name)) };
}

/** Removes contents that nobody names any more. */
export async function dropContents(names: readonly string[]): Promise<void> {
  for (const name of names) held.delete(name);
  await changed((store) => names.forEach((name) => store.delete(name)));
}

/** The content that is named by `keepContent`; null when it is gone. What is no such name is the content itself. */
export async function contentOf(name: string): Promise<string | null> {
  if (!name.startsWith(KEPT)) return name;
  const here = held.get(name);
  if (here !== undefined) return here;
  const base = await database();
  const row = base ? await read(base, name) : undefined;
  if (typeof row?.content !== 'string') return null;
  held.set(name, row.content);
  return row.content;
}

/** The names in what is kept of conversations, however that looks. */
export function namesIn(texts: Iterable<string>): Set<string> {
  const found = new Set<string>();
  for (const text of texts) for (const [name] of text.matchAll(/kept:[a-z0-9]+/g)) found.add(name);
  return found;
}

/** Removes contents that no conversation names any more. */
export async function sweep(named: Set<string>, now = Date.now()): Promise<void> {
  const base = await database();
  if (!base) return;
  const store = base.transaction(STORE, 'readwrite').objectStore(STORE);
  const walk = store.openCursor();
  walk.onsuccess = () => {
    const cursor = walk.result;
    if (!cursor) return;
    const { at } = cursor.value as Row;
    if (!named.has(String(cursor.key)) && now - at > SPARED_MS) cursor.delete();
    cursor.continue();
  };
}

function database(): Promise<IDBDatabase | null> {
  opened ??= new Promise((ready) => {
    if (typeof indexedDB === 'undefined') return ready(null);
    try {
      const request = indexedDB.open('claracore.chat', 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      request.onsuccess = () => ready(request.result);
      request.onerror = request.onblocked = () => ready(null);
    } catch {
      // Some browsers refuse it so in a private window.
      ready(null);
    }
  });
  return opened;
}

function read(base: IDBDatabase, name: string): Promise<Row | undefined> {
  return new Promise((ready) => {
    try {
      const request: IDBRequest<Row | undefined> = base.transaction(STORE).objectStore(STORE).get(name);
      request.onsuccess = () => ready(request.result);
      request.onerror = () => ready(undefined);
    } catch {
      // It was closed: the person has deleted what this site keeps.
      ready(undefined);
    }
  });
}

/** Changes what is kept; false where the browser did not take the change. */
async function changed(change: (store: IDBObjectStore) => void): Promise<boolean> {
  const base = await database();
  if (!base) return false;
  return new Promise((ready) => {
    try {
      const transaction = base.transaction(STORE, 'readwrite');
      transaction.oncomplete = () => ready(true);
      // Over the quota, as a rule.
      transaction.onabort = () => ready(false);
      change(transaction.objectStore(STORE));
    } catch {
      ready(false);
    }
  });
}
