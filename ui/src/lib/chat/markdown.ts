/**
 * How does an answer's text become something to look at? In blocks, so that a long answer that still grows is parsed
 * only at its end. What a model wrote is a stranger's text: only a few harmless tags act, and nothing is fetched.
 */
import DOMPurify from 'dompurify';
import { Marked, type Token } from 'marked';
import { escaped } from './highlight';
import { markup } from './markup';
import { tex } from './tex';

export type Block =
  | { kind: 'html'; raw: string; html: string }
  | { kind: 'code'; raw: string; language: string; title: string; code: string };

const marked = new Marked({ gfm: true, breaks: true, async: false });
marked.use(tex, markup, {
  renderer: {
    /** Inside of a list or a quotation; `insets.ts` makes of it what it is elsewhere. */
    code: ({ text, lang }) => `<div data-code="${escaped(lang ?? '')}">${escaped(text)}</div>`,
    checkbox: ({ checked }) => `<span data-task="${checked ? 'done' : 'open'}">${checked ? '☑' : '☐'}</span> `,
    /** Pictures are not fetched: their words and where they are. */
    image: ({ href, text }) => `<a href="${escaped(href)}">[image: ${escaped(text || href)}]</a>`,
  },
});
const ALLOWED_TAGS =
  'a b blockquote br code del details div em h1 h2 h3 h4 h5 h6 hr i kbd li mark ol p pre s span strong sub summary sup table tbody td th thead tr u ul'.split(
    ' ',
  );
const PLAIN_ATTR = ['align', 'start', 'title', 'open', 'data-tex', 'data-task', 'data-code'];
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

const known = new Map<string, string>();
const KEPT = 2000;

export function blocks(text: string): Block[] {
  const found: Block[] = [];
  for (const token of marked.lexer(text)) {
    if (token.type === 'space') continue;
    if (token.type === 'code') {
      found.push({ kind: 'code', raw: token.raw, ...named(String(token.lang ?? '')), code: String(token.text) });
    } else found.push({ kind: 'html', raw: token.raw, html: html(token) });
  }
  return found;
}

/** What stands behind the fence: the language, and often into which file it goes. */
export function named(words: string): { language: string; title: string } {
  const [language = '', ...title] = words.split(/\s+/);
  return { language, title: title.join(' ') };
}

function html(token: Token): string {
  const before = known.get(token.raw);
  if (before !== undefined) return before;
  const made = purify.sanitize(marked.parser([token]), CONFIG);
  if (known.size >= KEPT) known.clear();
  known.set(token.raw, made);
  return made;
}
