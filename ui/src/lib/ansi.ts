/** Which colours does a line of a terminal program have? SGR sequences become spans, other sequences disappear. Pure. */

export interface Span {
  text: string;
  /** 0-7 as in ECMA-48; null is the default colour. */
  colour: number | null;
  bold: boolean;
  dim: boolean;
}

// CSI ... letter, OSC ... BEL or ST, and two-byte escapes.
const SEQUENCE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])/g;

export function spans(line: string): Span[] {
  if (!line.includes('\x1b')) return [{ text: line, colour: null, bold: false, dim: false }];
  const found: Span[] = [];
  let style = { colour: null as number | null, bold: false, dim: false };
  let from = 0;
  const add = (text: string) => text && found.push({ text, ...style });
  for (const match of line.matchAll(SEQUENCE)) {
    add(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === 'm') style = styled(style, (match[1] ?? '').split(/[;:]/).map(Number));
  }
  add(line.slice(from));
  return found;
}

export function plain(line: string): string {
  return line.includes('\x1b') ? line.replace(SEQUENCE, '') : line;
}

type Style = { colour: number | null; bold: boolean; dim: boolean };

function styled(before: Style, codes: number[]): Style {
  const style = { ...before };
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i]!;
    if (code === 0) Object.assign(style, { colour: null, bold: false, dim: false });
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 39) style.colour = null;
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.colour = code % 10;
    else if (code === 38 || code === 48) {
      const palette = codes[i + 1] === 5;
      const number = codes[i + 2];
      if (code === 38 && palette && number !== undefined && number < 16) style.colour = number % 8;
      i += palette ? 2 : 4;
    }
  }
  return style;
}
