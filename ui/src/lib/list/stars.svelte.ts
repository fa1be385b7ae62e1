/**
 * Which models are a person's favourites? Kept in the browser, as bookmarks are: several people may share a server, and
 * a server knows keys, not people. Tabs hear of each other's changes.
 */

const KEY = 'claracore.favourites';

class Stars {
  all: ReadonlySet<string> = $state.raw(read());

  constructor() {
    addEventListener('storage', (event) => event.key === KEY && (this.all = read()));
  }

  toggle(id: string): void {
    const next = read();
    if (!next.delete(id)) next.add(id);
    localStorage.setItem(KEY, JSON.stringify([...next]));
    this.all = next;
  }
}

function read(): Set<string> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return new Set(Array.isArray(kept) ? kept.filter((each) => typeof each === 'string') : []);
  } catch {
    return new Set();
  }
}

export const stars = new Stars();
