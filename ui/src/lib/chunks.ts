/**
 * What becomes of a page whose code cannot be fetched? After an upgrade the files of the old version are gone: the page
 * is loaded anew, once. Where ClaraCore cannot be reached, that is done when it is back.
 */
import { BASE } from './router';

const KEY = 'claracore.reloaded';
/** Twice within so long is a fault that loading anew does not mend. */
const ONCE_MS = 60_000;

/** Loads the page anew if that may help; returns whether it does. */
export async function recover(now = Date.now()): Promise<boolean> {
  const before = Number(sessionStorage.getItem(KEY) ?? 0);
  if (now - before < ONCE_MS || !(await isThere())) return false;
  sessionStorage.setItem(KEY, String(now));
  location.reload();
  return true;
}

/** A page that cannot be fetched is no better than one without its code. */
async function isThere(): Promise<boolean> {
  try {
    return (await fetch(`${BASE}/`, { cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}
