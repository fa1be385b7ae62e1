/** Which colours does code have? A handful of languages; the rest stays plain. Returns safe HTML. */
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import cpp from 'highlight.js/lib/languages/cpp';
import csharp from 'highlight.js/lib/languages/csharp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import dockerfile from 'highlight.js/lib/languages/dockerfile';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';

const languages = {
  bash,
  cpp,
  csharp,
  css,
  diff,
  dockerfile,
  go,
  ini,
  java,
  javascript,
  json,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
};
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);

/** Of longer code only the beginning is coloured: all of it would hold up the page. */
const LONGEST = 60_000;

/** Up to where code is coloured, which is the end of a line. */
export function colourable(code: string, language: string): number {
  if (!hljs.getLanguage(language)) return 0;
  return code.length < LONGEST ? code.length : code.lastIndexOf('\n', LONGEST) + 1;
}

/** Lines that are laid out together: what comes at the end of long code leaves those before alone. */
export const TOGETHER = 100;

/** In an element for every hundred lines: what is open at the end of one goes on in the next. */
function inParts(html: string): string {
  const lines = html.split(/(?<=\n)/);
  const open: string[] = [];
  let parts = '';
  for (let at = 0; at < lines.length; at += TOGETHER) {
    const text = lines.slice(at, at + TOGETHER).join('');
    parts += '<span class="lines">' + open.join('') + text;
    for (const [tag] of text.matchAll(/<\/?span[^>]*>/g))
      if (tag.startsWith('</')) open.pop();
      else open.push(tag);
    parts += '</span>'.repeat(open.length + 1);
  }
  return parts;
}

export function highlighted(code: string, language: string): string {
  const end = colourable(code, language);
  const coloured = end ? hljs.highlight(code.slice(0, end), { language, ignoreIllegals: true }).value : '';
  return inParts(coloured + escaped(code.slice(end)));
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
