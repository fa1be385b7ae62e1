/** How is the hub asked while somebody types? Not for every letter. */
export const LEAST_LETTERS = 2;
/** More are not sent: nothing is called so. */
export const MOST_LETTERS = 200;
/** Between two letters: it is asked when no more come for so long. */
export const PAUSE_MS = 250;

/** Whether a repository is named, and not words that one may have. */
export function isReference(text: string): boolean {
  return text.includes('/') || text.includes(' -hf');
}
