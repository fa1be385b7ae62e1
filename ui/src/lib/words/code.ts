/** Which parts of the server's words are code? Those between backticks, as it writes them for people. Pure. */

export interface Words {
  text: string;
  code: boolean;
}

/** Splits a text at its pairs of backticks; one without its other, and a pair around nothing, stay as they are. */
export function coded(text: string): Words[] {
  const found: Words[] = [];
  let begun = 0;
  for (const { 0: pair, 1: code, index } of text.matchAll(/(?<!`)`([^`\n]+)`/g)) {
    if (index > begun) found.push({ text: text.slice(begun, index), code: false });
    found.push({ text: code!, code: true });
    begun = index + pair.length;
  }
  if (begun < text.length) found.push({ text: text.slice(begun), code: false });
  return found;
}
