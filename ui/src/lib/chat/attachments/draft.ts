/** What was attached to a message that is still being written? It is there again after a reload, as its words are. */
import type { Attachment } from './attached';

const KEY = 'claracore.chat.attached';

export function rememberAttached(attached: readonly Attachment[]): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(attached));
  } catch {
    // No room: only a reload would lose it.
  }
}

/** Whatever does not fit is left out: another version may have written it. */
export function recallAttached(): Attachment[] {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
    return Array.isArray(found) ? found.filter(fits) : [];
  } catch {
    return [];
  }
}

function fits(found: unknown): found is Attachment {
  const { kind, name, at, tokens } = (found ?? {}) as Record<string, unknown>;
  const known = kind === 'image' || kind === 'sound' || kind === 'text';
  return known && typeof name === 'string' && typeof at === 'string' && typeof tokens === 'number';
}
