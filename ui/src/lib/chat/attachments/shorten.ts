/** How is a text that is attached made shorter, so that a model has room for it? Sizes in tokens. */
import type { Attachment } from './attached';
import { contentOf, keepContent } from './bulk';
import { estimated } from './tokens';

/** Letters of texts are not tokens: so much more is cut than counted, as a share. */
const MARGIN = 0.05;
/** At least so many are left to the model for its answer. */
const ANSWER = 256;
/** No text is cut to less: that would be none of it. */
const LEAST = 64;

/** Which of the texts is cut if `over` tokens are too many: the longest, where that suffices. */
export function toShorten<T extends { tokens: number }>(texts: readonly T[], over: number): T | null {
  const longest = texts.toSorted((a, b) => b.tokens - a.tokens)[0];
  return longest && longest.tokens - over - ANSWER >= LEAST ? longest : null;
}

/** The beginning of a text of `tokens`, without `over` of them and what an answer needs; it ends with a line's end. */
export function beginning(text: string, tokens: number, over: number): string {
  const share = Math.max(0, 1 - (over + ANSWER) / tokens - MARGIN);
  const cut = text.slice(0, Math.floor(text.length * share));
  const line = cut.lastIndexOf('\n');
  return `${line > cut.length / 2 ? cut.slice(0, line) : cut}\n[the rest was left out]`;
}

/** The attachment in its place; null where its content is gone. */
export async function shortened(each: Attachment, tokens: number, over: number): Promise<Attachment | null> {
  const text = await contentOf(each.at);
  if (text === null) return null;
  const begin = beginning(text, tokens, over);
  const name = each.name.replace(/( \(beginning\))?$/, ' (beginning)');
  return { ...each, name, at: keepContent(begin), tokens: estimated(begin) };
}
