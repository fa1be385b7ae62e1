/**
 * How does this browser keep things so that its tabs do not overwrite each other? One record each, by its id; large
 * contents are only named in it (`attachments/bulk.ts`).
 */

/** What of a record has changed in another tab; null is: it is deleted. */
export interface Change<T> {
  id: string;
  value: T | null;
}

export class Records<T> {
  /** `prefix` is what their keys begin with; `restored` reads what another version, or nobody, has written. */
  constructor(
    private readonly prefix: string,
    private readonly restored: (found: unknown) => T | null,
  ) {}

  /** False where the browser has no room for it. */
  write(id: string, value: T): boolean {
    return written(this.prefix + id, value);
  }

  has(id: string): boolean {
    return localStorage.getItem(this.prefix + id) !== null;
  }

  read(id: string): T | null {
    return this.restored(stored(localStorage, this.prefix + id));
  }

  all(): T[] {
    const keys = Array.from({ length: localStorage.length }, (_, index) => localStorage.key(index) ?? '');
    return keys.flatMap((key) => (key.startsWith(this.prefix) ? (this.read(key.slice(this.prefix.length)) ?? []) : []));
  }

  forget(id: string): void {
    localStorage.removeItem(this.prefix + id);
  }

  /** What another tab has just written, for `storage` events; null where that is none of these. */
  heard(event: StorageEvent): Change<T> | null {
    if (!event.key?.startsWith(this.prefix)) return null;
    const value = this.restored(parsed(event.newValue));
    return value || !event.newValue ? { id: event.key.slice(this.prefix.length), value } : null;
  }
}

/** False where the browser has no room for it. */
export function written(key: string, value: unknown, storage: Storage = localStorage): boolean {
  try {
    storage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** What is written there; null for nothing, and for what cannot be read. */
export function stored(storage: Storage, key: string): unknown {
  return parsed(storage.getItem(key));
}

function parsed(json: string | null): unknown {
  try {
    return JSON.parse(json ?? 'null');
  } catch {
    return null;
  }
}
