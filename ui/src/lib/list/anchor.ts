/**
 * What does a person look at, and how does it stay there when rows above it turn out to be higher than was thought? The
 * first row in sight, or the end of the page for who is there; nothing at the top of the page, where all may move.
 */

let row: { id: string; top: number } | null = null;
let atEnd = false;

/** To be called when the page has been scrolled. */
export function remember(): void {
  const page = document.documentElement;
  row = null;
  atEnd = page.scrollTop > 0 && page.scrollTop + innerHeight >= page.scrollHeight - 2;
  if (page.scrollTop === 0) return;
  for (const each of document.querySelectorAll<HTMLElement>('[data-row]')) {
    const { top, bottom } = each.getBoundingClientRect();
    if (bottom <= 0) continue;
    row = { id: each.dataset.row!, top };
    return;
  }
}

/** To be called when rows have other heights. */
export function restore(): void {
  const page = document.documentElement;
  if (atEnd) page.scrollTop = page.scrollHeight;
  else if (row) {
    const now = document.querySelector(`[data-row="${CSS.escape(row.id)}"]`)?.getBoundingClientRect().top;
    if (now !== undefined && Math.abs(now - row.top) >= 1) scrollBy({ top: now - row.top, behavior: 'instant' });
  }
}
