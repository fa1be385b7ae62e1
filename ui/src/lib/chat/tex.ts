/**
 * Where is mathematics in a text? Between \(..\), \[..\], $$..$$, and $..$ where it cannot be money or a variable of a
 * shell. It is found before Markdown looks, which would take its backslashes and underscores; it is typeset elsewhere.
 */
import type { MarkedExtension, Tokens } from 'marked';

interface Tex extends Tokens.Generic {
  tex: string;
  display: boolean;
}

const BLOCKS = [/^ {0,3}\$\$((?:\\[\s\S]|[^\\$])+?)\$\$[ \t]*(?:\n|$)/, /^ {0,3}\\\[([\s\S]+?)\\\][ \t]*(?:\n|$)/];
const INLINE: { pattern: RegExp; display: boolean }[] = [
  { pattern: /^\\\(([\s\S]+?)\\\)/, display: false },
  { pattern: /^\\\[([\s\S]+?)\\\]/, display: true },
  { pattern: /^\$\$((?:\\[\s\S]|[^\\$])+?)\$\$/, display: true },
  // As in Pandoc: no space inside the signs, no digit or letter behind them; and no code in it.
  { pattern: /^\$(?![\s$])((?:\\.|[^\\$\n`])*?(?:\\.|[^\\$\n`\s]))\$(?![\w$])/, display: false },
];
/** `100 (in words) or 100` between two dollar signs is two prices: such a formula has a sign that prices have not. */
const PRICE = /^\d[^\\^_=+*<>{}]*\s[^\\^_=+*<>{}]*$/;

export const tex: MarkedExtension = {
  extensions: [
    {
      name: 'texBlock',
      level: 'block',
      start: (text) => indexOf(text, /(?:^|\n) {0,3}(?:\$\$|\\\[)/),
      tokenizer: (text) => {
        for (const pattern of BLOCKS) {
          const [raw, inside] = pattern.exec(text) ?? [];
          if (raw && inside) return token('texBlock', raw, inside, true);
        }
        return undefined;
      },
      renderer: (found) => `<div>${marked(found as Tex)}</div>`,
    },
    {
      name: 'texInline',
      level: 'inline',
      start: (text) => indexOf(text, /\\[([]|(?<![\w$\\])\$/),
      tokenizer: (text) => {
        for (const { pattern, display } of INLINE) {
          const [raw, inside] = pattern.exec(text) ?? [];
          if (raw && inside && (display || raw[0] !== '$' || !PRICE.test(inside)))
            return token('texInline', raw, inside, display);
        }
        return undefined;
      },
      renderer: (found) => marked(found as Tex),
    },
  ],
};

function token(type: string, raw: string, inside: string, display: boolean): Tex {
  return { type, raw, tex: inside.trim(), display };
}

/** What is read until it is typeset, and when it cannot be: the source. */
function marked({ tex, display }: Tex): string {
  const harmless = tex.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<code data-tex="${display ? 'display' : 'inline'}">${harmless}</code>`;
}

export function indexOf(text: string, pattern: RegExp): number | undefined {
  const found = pattern.exec(text);
  return found ? found.index : undefined;
}
