/** Which shortcut is a key, and is it one here? Pure. */

export type Shortcut = 'palette' | 'filter' | 'list';

export const SHORTCUTS: { keys: string[]; does: string }[] = [
  { keys: ['Ctrl K', '⌘ K'], does: 'Go to a page, load or unload a model, open its log, ask about a port' },
  { keys: ['/'], does: 'Filter or find on this page' },
  { keys: ['?'], does: 'Show this list' },
  { keys: ['Ctrl Z', '⌘ Z'], does: 'Undo what the newest message offers to undo' },
  { keys: ['Esc'], does: 'Close what is open' },
  { keys: ['Tab', 'Shift Tab'], does: 'Go on to what can be pressed, and back' },
];

export interface Pressed {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  /** Somebody has used it already. */
  defaultPrevented: boolean;
}

/** Where the key was pressed: `field` takes characters, `editor` has shortcuts of its own. */
export type Where = 'page' | 'field' | 'editor';

export function shortcutOf(pressed: Pressed, where: Where): Shortcut | null {
  const { key, ctrlKey, metaKey, altKey, defaultPrevented } = pressed;
  if (defaultPrevented || altKey) return null;
  if (ctrlKey !== metaKey) return key.toLowerCase() === 'k' && where !== 'editor' ? 'palette' : null;
  if (ctrlKey || where !== 'page') return null;
  return key === '/' ? 'filter' : key === '?' ? 'list' : null;
}

/** Where somebody types, from the innermost element outwards (an event's path, for editors in a shadow root). */
export function whereOf(path: readonly EventTarget[]): Where {
  for (const each of path) {
    if (!(each instanceof HTMLElement)) continue;
    if (each.isContentEditable || each.matches('[role=textbox]:not(input, textarea)')) return 'editor';
    if (each.matches('textarea, select')) return 'field';
    if (each instanceof HTMLInputElement && !NO_TEXT.has(each.type)) return 'field';
  }
  return 'page';
}

const NO_TEXT = new Set(['button', 'checkbox', 'color', 'file', 'image', 'radio', 'range', 'reset', 'submit']);
