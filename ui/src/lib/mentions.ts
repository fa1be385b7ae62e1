/** Which models does a line of a log name? Pure. A word that only happens to be a model's id is no name of it. */

export interface Piece {
  text: string;
  /** The model that the text names; empty for other text. */
  model: string;
}

/** What stands before a name in our own lines (`model gemma: ready`), and what behind it; then the next of a list. */
const NAMED: [before: RegExp, behind: RegExp][] = [
  [/\bmodels? $/i, /^:/],
  [/\bmodels?(?:=|: )$/i, /^/],
  [/\bpreload of $/, /^ (?:failed|left out)/],
  [/\bit does not fit beside $/, /^/],
  [/\bmoves on to $/, /^$/],
  [/\bin the models folder: $/, /^/],
  [/(?:^|[^\w])"$/, /^"/],
  [/(?:^|[^\w])'$/, /^'/],
  [/`$/, /^`/],
];
const NEXT = /^(?:, | and )$/;

/** Splits a text where it names models; a full stop or colon behind an id is not part of it. */
export function mentions(text: string, ids: ReadonlySet<string>): Piece[] {
  const found: Piece[] = [];
  let begun = 0;
  let named = -1;
  for (const { 0: word, index } of ids.size ? text.matchAll(/[^\s"'`(),;[\]=]+/g) : []) {
    const model = word.replace(/[.:]+$/, '');
    if (!ids.has(model)) continue;
    const [before, behind] = [text.slice(0, index), text.slice(index + model.length)];
    const next = named >= 0 && NEXT.test(text.slice(named, index));
    if (!next && !NAMED.some(([left, right]) => left.test(before) && right.test(behind))) continue;
    if (index > begun) found.push({ text: text.slice(begun, index), model: '' });
    found.push({ text: model, model });
    begun = named = index + model.length;
  }
  return begun < text.length ? [...found, { text: text.slice(begun), model: '' }] : found;
}
