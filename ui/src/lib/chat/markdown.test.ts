// @vitest-environment jsdom
import { expect, test } from 'vitest';
import { flushSync, mount } from 'svelte';
import { highlighted } from './highlight';
import { type Block, Reader } from './markdown';
import Markdown from './Markdown.svelte';

const blocks = (text: string) => new Reader().read(text);

/** The words of all blocks, also of those inside of others. */
function html(text: string): string {
  const words = (block: Block): string => {
    if (block.kind === 'html') return block.html;
    if (block.kind === 'table') return block.head + block.rows.join('');
    if (block.kind === 'list' || block.kind === 'ordered') return block.items.flat().map(words).join('');
    if (block.kind === 'code') return `[${block.language}]`;
    return block.blocks.map(words).join('');
  };
  return blocks(text).map(words).join('');
}

/** What is looked at. */
function drawn(text: string): HTMLElement {
  const target = document.createElement('div');
  mount(Markdown, { target, props: { text } });
  flushSync();
  return target;
}

test('paragraphs, lists and code are blocks', () => {
  const found = blocks('Hi **you**\n\n- one\n- two\n\n```python\nprint(1)\n```\nend');
  expect(found.map((block) => block.kind)).toEqual(['html', 'list', 'code', 'html']);
  expect(html('Hi **you**')).toBe('<p>Hi <strong>you</strong></p>\n');
});

test('a block that still grows is a block already', () => {
  expect(blocks('text\n```js\nlet a =')).toMatchObject([
    { kind: 'html' },
    { kind: 'code', language: 'js', code: 'let a =' },
  ]);
});

test.each([
  ['a list', '1. First:\n\n   ```python title.py\n   if a < b:\n     print("x")\n   ```\n2. Second'],
  ['a quotation', '> So:\n>\n> ```python title.py\n> if a < b:\n>   print("x")\n> ```'],
  ['a list in a list', '- a\n  - b\n    ```python title.py\n    if a < b:\n      print("x")\n    ```'],
])('code in %s is a block', (_, text) => {
  const block = drawn(text).querySelector(':is(li, blockquote) > figure');
  expect(block?.querySelector('figcaption')?.textContent).toContain('title.py');
  expect(block?.querySelector('pre')?.textContent).toBe('if a < b:\n  print("x")');
  expect(block?.querySelector('.hljs-keyword')?.textContent).toBe('if');
});

test('what stands behind a fence cannot act', () => {
  expect(drawn('- a\n  ```"><img src=x onerror=alert(1)>\n  x\n  ```').querySelector('figure')).not.toBeNull();
  expect(drawn('- a\n  ```"><img src=x onerror=alert(1)>\n  x\n  ```').querySelector('img')).toBeNull();
});

test('the blocks together are the whole text', () => {
  const text = '# A\n\ntext\n\n> quote\n\n| a | b |\n|---|---|\n| 1 | 2 |\n';
  expect(drawn(text).textContent?.replace(/\s+/g, ' ').trim()).toBe('A text quote a b 1 2');
});

test.each([
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '[x](javascript:alert(1))',
  '<a href="javascript:alert(1)">x</a>',
  '<iframe src="https://evil"></iframe>',
  '<svg><script>alert(1)</script></svg>',
  '<form action="https://evil"><input name=a></form>',
  '<p style="position:fixed" onclick="alert(1)" id="main" class="notice">x</p>',
  '![x](https://evil/pixel.png)',
  '![x](javascript:alert(1))',
  '<img alt="x" src="https://evil/pixel.png">',
  '<p data-x="1">x</p>',
  '<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>',
])('what a model writes cannot act: %s', (text) => {
  const box = drawn(text);
  expect(box.querySelector('.words')?.textContent?.trim()).toBeTruthy();
  for (const each of box.querySelectorAll('.words *')) {
    expect(['P', 'A', 'BR', 'TABLE']).toContain(each.tagName);
    const attributes = each.getAttributeNames().filter((name) => !['href', 'target', 'rel'].includes(name));
    expect([attributes, each.getAttribute('href') ?? 'https:']).toEqual([[], expect.stringMatching(/^https:/)]);
  }
});

const SHOWN = [
  'Use the <div> tag, a <br-x> and <custom-tag> here.',
  'vector<int> v, List<String> names, Box<i> and Map<b, u>',
  'if a<b and c>d then x, not <b>',
  '<answer>42</answer>',
  '<img src="https://example.org/x.png" alt="a cat">',
  '<script>alert(1)</script> and <style>a{}</style> and <pre>a<b</pre>',
  '<header>: the top of a page, unlike <footer>',
  '<a href="https://example.org" onclick="x()">words</a>',
  'a <!-- comment --> stays',
  '<b>: `</b>` ends it',
];
test.each(SHOWN)('what is no plain tag is shown as it was written: %s', (text) => {
  expect(drawn(text).textContent?.trim()).toBe(text.replaceAll('`', ''));
  expect(drawn(text).querySelector('.words :is(b, i, u, div)')).toBeNull();
});

test('a paragraph of tags, in a list and in a table', () => {
  expect(drawn('- <header>: top\n- <main>\n\n  more').textContent).toMatch(/<header>: top\s+<main>\s+more/);
  expect(drawn('| a<b> | c |\n|---|---|\n| <div> | x<br>y |').querySelector('tbody')?.innerHTML).toMatch(
    /<td>&lt;div&gt;<\/td>\s*<td>x<br>y<\/td>/,
  );
  expect(html('<answer>\n**42**\n</answer>')).toBe('<p>&lt;answer&gt;<br><strong>42</strong><br>&lt;/answer&gt;</p>\n');
});

test('plain tags act when they are closed', () => {
  expect(html('H<sub>2</sub>O, <kbd>Ctrl</kbd>, <b>very *bold*</b>, a<br/>b')).toBe(
    '<p>H<sub>2</sub>O, <kbd>Ctrl</kbd>, <b>very <em>bold</em></b>, a<br>b</p>\n',
  );
  expect(html('**a** <u>b')).toBe('<p><strong>a</strong> &lt;u&gt;b</p>\n');
});

test('details hold what is in them, also while they grow', () => {
  const text = 'See\n<details><summary>More `x`</summary>\n\nHidden **text**\n\n- one\n\n</details>\n\nAfter';
  const box = drawn(text);
  expect(box.querySelector('details > summary')?.innerHTML).toBe('More <code>x</code>');
  expect(box.querySelector('details > .words > p > strong')?.textContent).toBe('text');
  expect(box.querySelector('details > ul')).not.toBeNull();
  expect(box.querySelector('.markdown')?.lastElementChild?.textContent?.trim()).toBe('After');
  expect(drawn('<details>\n<summary>\nMore\n</summary>\nx').querySelector('summary')?.textContent).toBe('More');
  expect(drawn(text.slice(0, 60)).querySelector('details > .words > p')).not.toBeNull();
  expect(drawn('<details>\nA <script>x</script>\n</details>').innerHTML).not.toContain('<script');
});

test.each([
  '<!DOCTYPE html>\n<html>\n\n  <body class="a">\n  </body>\n</html>',
  '<html>\n\n  <bo',
  '<svg width="4">\n  <path />\n</svg>',
])('a document without fences is code: %s', (text) => {
  const found = blocks(text);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ kind: 'code', language: 'html', code: text });
});

test.each(['<b>'.repeat(3000) + '`'.repeat(3000), '<details>'.repeat(3000)])(
  'many tags that are never closed are read in time',
  (text) => expect(drawn(text).textContent?.trim()).toBe(text),
);

test('links open elsewhere and tell nothing', () => {
  expect(html('[a](https://example.org)')).toContain('rel="noopener noreferrer"');
  expect(html('[a](https://example.org)')).toContain('target="_blank"');
});

test('code is coloured when its language is known, and always harmless', () => {
  expect(highlighted('def f(): pass', 'python')).toContain('hljs-keyword');
  for (const language of ['xml', 'unknown', ''])
    expect(highlighted('<img src=x onerror=a>', language)).not.toContain('<img');
});

test('a colour goes on in the next hundred lines', () => {
  const box = document.createElement('div');
  box.innerHTML = highlighted('"""\n' + 'words\n'.repeat(150) + '"""\nif a: pass\n', 'python');
  const [first, second, ...more] = box.children;
  expect([first?.textContent?.split('\n').length, more.length]).toEqual([101, 0]);
  expect(second?.querySelector('.hljs-string')?.textContent).toBe('words\n'.repeat(51) + '"""');
  expect(second?.querySelector(':scope > .hljs-keyword')?.textContent).toBe('if');
});

test('a list goes on counting, and a table keeps its sides', () => {
  expect(drawn('3. c\n4. d').querySelector('ol')?.start).toBe(3);
  expect(drawn('| a | b |\n|:-:|--:|\n| 1 | 2 |').querySelector('tbody')?.innerHTML).toMatch(
    /<td align="center">1<\/td>\s*<td align="right">2<\/td>/,
  );
});

test('task boxes and the words of images stay', () => {
  const tasks = html('- [x] done\n- [ ] open');
  expect(tasks).toContain('<span data-task="done">☑</span>');
  expect(tasks).toContain('<span data-task="open">☐</span>');
  expect(html('![a plot](https://example.org/p.png)')).toMatch(
    /<a href="https:\/\/example.org\/p.png".*\[image: a plot\]/,
  );
});

const formulas = (text: string) =>
  [...html(text).matchAll(/<code data-tex="(\w+)">([^<]*)<\/code>/g)].map(([, mode, source]) => `${mode} ${source}`);

test.each([
  ['Then \\(a_1 * b_2 * c\\) holds', ['inline a_1 * b_2 * c']],
  ['So\n\\[\nx^2\n\\]\nend', ['display x^2']],
  ['$$\nE = mc^2\n$$', ['display E = mc^2']],
  ['in a line $$x$$ too', ['display x']],
  ['with $x_1$ and $y$.', ['inline x_1', 'inline y']],
  ['- first $a$\n- \\[b\\]\n', ['inline a', 'display b']],
  ['| f |\n|---|\n| $x$ |', ['inline x']],
  ['**bold $x$**', ['inline x']],
  ['$5 + x$', ['inline 5 + x']],
  ['\\(a < b\\)', ['inline a &lt; b']],
  ['\\(<img src=x>\\)', ['inline &lt;img src=x&gt;']],
  ['\\[ a \\\\ b \\]', ['display a \\\\ b']],
])('mathematics is found: %s', (text, found) => {
  expect(formulas(text)).toEqual(found);
});

test.each([
  'It costs $5 and $10.',
  'From $5-$10, or US$5 and A$6.',
  '$100 (about 90 €) or 100$',
  'Set $HOME and $PATH, or $HOME/$USER.',
  'Run `echo $A` and `echo $B`.',
  '```sh\necho $A $B$\n```',
  'not closed \\( x',
  'escaped \\$x\\$',
])('what is none is left alone: %s', (text) => {
  expect(formulas(text)).toEqual([]);
});
