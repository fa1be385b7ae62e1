/**
 * Which tags in an answer are meant to act? A few plain ones that are closed where they were opened. All others are
 * words about HTML, types like `List<String>` or comparisons: they are shown as they were written.
 */
import type { MarkedExtension, Token, Tokens } from 'marked';
import { indexOf } from './tex';

interface Paired extends Tokens.Generic {
  name: string;
  tokens: Token[];
}
export interface Details extends Tokens.Generic {
  type: 'details';
  summary: Token[];
  tokens: Token[];
}

/** Its end is looked for in this many pieces, and not in code. */
const PAIR = /^<(b|code|del|em|i|kbd|mark|s|strong|sub|sup|u)>((?:`[^`]*`|[^`]){1,1000}?)<\/\1>/;
/** Goes on over empty lines. */
const DOCUMENT = /^ {0,3}(?:<!doctype html[^>]*>\s*)?<html[\s>][\s\S]*?(?:<\/html>[ \t]*\n*|$)/i;
const PLAIN = /^(br?|code|del|em|i|kbd|mark|s|strong|su[bp]|u)$/;
const BREAK = /^<br ?\/?>/;
/** While it still grows it has no end. */
const DETAILS =
  /^ {0,3}<details(?: open)?>\s*(?:<summary>((?:(?!<\/?details)[\s\S]){0,500}?)<\/summary>)?((?:(?!<details)[\s\S])*?)(?:<\/details>[ \t]*(?:\n+|$)|$)/;

export const markup: MarkedExtension = {
  tokenizer: {
    /** A whole document or a part of one is code; a line that begins with a tag is a line. */
    html(text) {
      const [document] = DOCUMENT.exec(text) ?? [];
      const raw = document ?? this.rules.block.html.exec(text)?.[0] ?? '';
      if (!document && !(/^[^\n]*>[ \t]*\n[\s\S]*>\s*$/.test(raw) && isHtml(raw))) return undefined;
      return { type: 'code', raw, lang: 'html', text: raw.trimEnd() } as unknown as Tokens.HTML;
    },
    tag(text) {
      const [raw] = this.rules.inline.tag.exec(text) ?? [];
      return raw ? ({ type: 'text', raw, text: raw, escaped: false } as unknown as Tokens.Tag) : undefined;
    },
  },
  extensions: [
    {
      name: 'paired',
      level: 'inline',
      start: (text) => indexOf(text, /<\w/),
      tokenizer(text) {
        const [lineEnd] = BREAK.exec(text) ?? [];
        if (lineEnd) return { type: 'br', raw: lineEnd };
        const [raw, name, inside] = PAIR.exec(text) ?? [];
        return raw && name ? { type: 'paired', raw, name, tokens: this.lexer.inlineTokens(inside ?? '') } : undefined;
      },
      renderer(found) {
        const { name, tokens } = found as Paired;
        return `<${name}>${this.parser.parseInline(tokens)}</${name}>`;
      },
    },
    {
      name: 'details',
      level: 'block',
      start: (text) => indexOf(text, /(?:^|\n) {0,3}<details/),
      tokenizer(text) {
        const [raw, summary, inside] = DETAILS.exec(text) ?? [];
        if (!raw) return undefined;
        const tokens = this.lexer.blockTokens(inside ?? '', []);
        return { type: 'details', raw, summary: this.lexer.inline(summary?.trim() || 'Details', []), tokens };
      },
      renderer(found) {
        const { summary, tokens } = found as Details;
        const title = `<summary>${this.parser.parseInline(summary)}</summary>`;
        return `<details>${title}${this.parser.parse(tokens)}</details>`;
      },
    },
  ],
};

/** Whether a text begins with an element that HTML has, but for those that may act here. */
function isHtml(text: string): boolean {
  const [, name = ''] = /^ {0,3}<[/!]?(\w+|--)/.exec(text) ?? [];
  if (/^(doctype|--|svg)$/i.test(name)) return true;
  return /^[a-z]/i.test(name) && !PLAIN.test(name) && !(document.createElement(name) instanceof HTMLUnknownElement);
}
