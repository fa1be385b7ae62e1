/**
 * How does an answer's text become something to look at? In blocks, and in blocks of blocks, so that of a long answer
 * that still grows only the words at its end are read, made harmless and drawn. What a model wrote is a stranger's text: only a few harmless tags act, and nothing is fetched.
 */
import DOMPurify from 'dompurify';
import { Lexer, Marked, type MarkedToken, type Token, type Tokens } from 'marked';
import { escaped } from './highlight';
import { type Details, markup } from './markup';
import { tex } from './tex';

export type Block =
  | { kind: 'html'; html: string }
  | { kind: 'code'; language: string; title: string; code: string }
  | { kind: 'list'; items: Block[][] }
  | { kind: 'ordered'; start: number; items: Block[][] }
  | { kind: 'quotation'; blocks: Block[] }
  | { kind: 'details'; summary: string; blocks: Block[] }
  /** Each is a whole table with nothing but this. */
  | { kind: 'table'; head: string; rows: string[] };

const marked = new Marked({ gfm: true, breaks: true, async: false });
marked.use(tex, markup, {
  renderer: {
    checkbox: ({ checked }) => `<span data-task="${checked ? 'done' : 'open'}">${checked ? '☑' : '☐'}</span> `,
    /** Pictures are not fetched: their words and where they are. */
    image: ({ href, text }) => `<a href="${escaped(href)}">[image: ${escaped(text || href)}]</a>`,
  },
});
const ALLOWED_TAGS =
  'a b blockquote br code del details div em h1 h2 h3 h4 h5 h6 hr i kbd li mark ol p pre s span strong sub summary sup table tbody td th thead tr u ul'.split(
    ' ',
  );
const PLAIN_ATTR = ['align', 'start', 'title', 'open', 'data-tex', 'data-task'];
const CONFIG = {
  ALLOWED_TAGS,
  ALLOWED_ATTR: ['href', ...PLAIN_ATTR],
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(https?:|mailto:)/i,
  // Otherwise each value has to be such an address.
  ADD_URI_SAFE_ATTR: PLAIN_ATTR,
};

const purify = DOMPurify();
purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
});

/** What is nested more deeply than this is drawn as one: a model may repeat a sign a thousand times. */
const DEEPEST = 10;
/** They show nothing. */
const SILENT = new Set(['space', 'def']);

/** Reads one text, again and again while it grows: what is the same as before is the same object. */
export class Reader {
  #before = new Map<string, unknown>();
  #now = new Map<string, unknown>();
  #links = '';
  #lexer = new Lexer(marked.defaults);
  /** What marked would read last of all: the words in blocks, by where they go. */
  #unread = new Map<Token[], string>();

  read(text: string): Block[] {
    this.#lexer = new Lexer(marked.defaults);
    const tokens = this.#lexer.blockTokens(text.replace(/\r\n|\r/g, '\n'), this.#lexer.tokens);
    this.#unread = new Map(this.#lexer.inlineQueue.map((each) => [each.tokens, each.src]));
    // Where links lead may be said after them.
    const links = JSON.stringify(this.#lexer.tokens.links);
    this.#before = links === this.#links ? this.#now : new Map();
    this.#links = links;
    this.#now = new Map();
    return this.#blocks(tokens, 0);
  }

  #blocks(tokens: Token[], depth: number): Block[] {
    return tokens.flatMap((token, index) => {
      // With the words behind it.
      if (SILENT.has(token.type) || token.type === 'checkbox') return [];
      const box = tokens[index - 1]?.type === 'checkbox' ? tokens.slice(index - 1, index) : [];
      const key = `${depth} ${box.length} ${token.type} ${box[0]?.raw ?? ''}${token.raw}`;
      return [this.#once(key, () => this.#block(token as MarkedToken | Details, box, depth + 1))];
    });
  }

  #block(token: MarkedToken | Details, box: Token[], depth: number): Block {
    if (depth > DEEPEST) {
      for (const tokens of this.#unread.keys()) this.#fill(tokens);
      return { kind: 'html', html: harmless(marked.parser([...box, token])) };
    }
    switch (token.type) {
      case 'code':
        return { kind: 'code', ...named(token.lang ?? ''), code: token.text };
      case 'list': {
        const items = token.items.map((item) =>
          this.#once(`${depth} ${item.loose} ${item.raw}`, () => this.#blocks(item.tokens, depth)),
        );
        return token.ordered ? { kind: 'ordered', start: Number(token.start), items } : { kind: 'list', items };
      }
      case 'blockquote':
        return { kind: 'quotation', blocks: this.#blocks(token.tokens, depth) };
      case 'details':
        return { kind: 'details', summary: this.#words(token.summary), blocks: this.#blocks(token.tokens, depth) };
      case 'table':
        return this.#table(token);
      default:
        if ('tokens' in token && token.tokens) this.#fill(token.tokens);
        return { kind: 'html', html: harmless(marked.parser([...box, token])) };
    }
  }

  #table(table: Tokens.Table): Block {
    const part = (header: Tokens.TableCell[], rows: Tokens.TableCell[][]) => {
      const cells = [...header, ...rows.flat()];
      return this.#once(JSON.stringify(cells.map((cell) => [cell.header, cell.align, cell.text])), () => {
        for (const cell of cells) this.#fill(cell.tokens);
        return harmless(marked.parser([{ ...table, header, rows }]));
      });
    };
    return { kind: 'table', head: part(table.header, []), rows: table.rows.map((row) => part([], [row])) };
  }

  #words(tokens: Token[]): string {
    this.#fill(tokens);
    return harmless(marked.Parser.parseInline(tokens, marked.defaults));
  }

  #fill(tokens: Token[]): void {
    const text = this.#unread.get(tokens);
    this.#unread.delete(tokens);
    if (text !== undefined) this.#lexer.inlineTokens(text, tokens);
  }

  #once<T>(key: string, make: () => T): T {
    const made = this.#before.has(key) ? (this.#before.get(key) as T) : make();
    this.#now.set(key, made);
    return made;
  }
}

/** What stands behind the fence: the language, and often into which file it goes. */
function named(words: string): { language: string; title: string } {
  const [language = '', ...title] = words.split(/\s+/);
  return { language, title: title.join(' ') };
}

function harmless(html: string): string {
  return purify.sanitize(html, CONFIG);
}
