/** Which models does a line of a log name? Pure. */

export interface Piece {
  text: string;
  /** The model that the text names; empty for other text. */
  model: string;
}

/** Splits a text where words are ids; a full stop or colon behind one is not part of it. */
export function mentions(text: string, ids: ReadonlySet<string>): Piece[] {
  const found: Piece[] = [];
  let plain = '';
  for (const word of text.split(/([\s"'(),;[\]=]+)/)) {
    const bare = word.replace(/[.:]+$/, '');
    if (!ids.has(bare)) plain += word;
    else {
      if (plain) found.push({ text: plain, model: '' });
      found.push({ text: bare, model: bare });
      plain = word.slice(bare.length);
    }
  }
  return plain ? [...found, { text: plain, model: '' }] : found;
}
