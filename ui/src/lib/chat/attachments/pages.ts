/** How do the texts of pages become one? Empty where no page has any. */

/** Joins pages, each under a line that tells its number. */
export function pagesText(pages: readonly string[]): string {
  const written = pages.map((page) => page.replace(/[ \t]+\n/g, '\n').trim());
  if (!written.some(Boolean)) return '';
  if (written.length === 1) return written[0]!;
  return written.map((page, index) => `[Page ${index + 1}]\n${page}`).join('\n\n');
}
