// @vitest-environment jsdom
import { expect, test } from 'vitest';
import { highlighted } from './highlight';
import { blocks } from './markdown';

const html = (text: string) =>
  blocks(text)
    .map((block) => (block.kind === 'html' ? block.html : `[${block.language}]`))
    .join('');

test('paragraphs, lists and code are blocks', () => {
  const found = blocks('Hi **you**\n\n- one\n- two\n\n```python\nprint(1)\n```\nend');
  expect(found.map((block) => block.kind)).toEqual(['html', 'html', 'code', 'html']);
  expect(html('Hi **you**')).toBe('<p>Hi <strong>you</strong></p>\n');
});

test('a block that still grows is a block already', () => {
  expect(blocks('text\n```js\nlet a =')).toMatchObject([
    { kind: 'html' },
    { kind: 'code', language: 'js', code: 'let a =' },
  ]);
});

test('the blocks together are the whole text', () => {
  const text = '# A\n\ntext\n\n> quote\n\n| a | b |\n|---|---|\n| 1 | 2 |\n';
  expect(
    blocks(text)
      .map((block) => block.raw.trim())
      .join('\n\n'),
  ).toBe(text.trim());
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
  '<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>',
])('what a model writes cannot act: %s', (text) => {
  expect(html(text)).not.toMatch(/script|onerror|onclick|javascript:|iframe|<form|<input|<img|<svg|style=|id=|class=/i);
});

test('links open elsewhere and tell nothing', () => {
  expect(html('[a](https://example.org)')).toContain('rel="noopener noreferrer"');
  expect(html('[a](https://example.org)')).toContain('target="_blank"');
});

test('code is coloured when its language is known, and always harmless', () => {
  expect(highlighted('def f(): pass', 'python')).toContain('hljs-keyword');
  for (const language of ['xml', 'unknown', ''])
    expect(highlighted('<img src=x onerror=a>', language)).not.toContain('<img');
});
