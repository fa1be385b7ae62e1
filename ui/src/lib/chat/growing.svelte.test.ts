// @vitest-environment jsdom
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import Markdown from './Markdown.svelte';

const PARTS = [
  'Some *words*, `code` and **more** of them',
  'A line\nand another with [a link](https://example.org) and [one][1] that is said later',
  '[1]: https://example.org/later',
  '# A heading',
  'A heading\n===',
  '- one\n- two\n- three',
  '- one\n\n- two\n\n  with more\n- three',
  '1. first\n2. second\n   - nested\n     - deeper\n3. third',
  '7) seven\n8) eight',
  '- [ ] open\n- [x] done\n\n- [ ] loose',
  '- in a list:\n  ```python title.py\n  def f():\n      """words\n      """\n  ```\n- after it',
  '> quoted\n> - list\n>   ```js\n>   let a = `b\n>   `;\n>   ```\nand lazily on',
  '> a\n\n> b\n> > c',
  '- '.repeat(12) + 'deeply\n' + '> '.repeat(12) + '*down*\n> ```js\n> let a;',
  '| a | b |\n|:--|--:|\n| 1 | **2** |\n| $x$ | `y` |\n| 5 |',
  'words\n| a |\n|---|\n| 1 |',
  '```python\ndef f(a):\n    # words\n    return "a < b"\n```',
  '~~~js title\nconst a = /* long\ncomment */ `text\n${b}`\n~~~',
  '```nothing\n<b>&amp;\n\n```',
  '    indented code\n    and more',
  '<details><summary>More *of it*</summary>\n\nHidden **text**\n\n- one\n- two\n\n</details>',
  '<!DOCTYPE html>\n<html>\n  <body>\n\n  </body>\n</html>',
  '<script>\nlet a\n\nlet b\n</script>',
  'Then $a_1$ and \\(b * c * d\\), or $\\nonsense{$.',
  '$$\nE = mc^2\n\n+ 1\n$$',
  '\\[ x^2 \\]',
  '- a $x$ formula\n- \\[y\\]\n- <b>bold</b>, a<br>b',
  '---',
  'An عربي word\n\nنص عربي with English',
  'emoji 👩‍💻 and\r\na line',
  '![a plot](https://example.org/p.png) <b>x</b> <u>y',
];

/** The same numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function shown(): { box: HTMLElement; say: (text: string) => void; end: () => void } {
  const props = $state({ text: '' });
  const box = document.createElement('div');
  const made = mount(Markdown, { target: box, props });
  return {
    box,
    say: (text) => flushSync(() => (props.text = text)),
    end: () => void unmount(made),
  };
}

/** What is seen: the marks at which Svelte finds its places, and how text is cut into nodes, are not. */
function seen(box: HTMLElement): string {
  const copy = box.cloneNode(true) as HTMLElement;
  for (const details of copy.querySelectorAll('details')) details.removeAttribute('open');
  return copy.innerHTML.replace(/<!--.*?-->/g, '').replace(/ id="[^"]*"/g, '');
}

vi.setConfig({ testTimeout: 30_000 });

beforeEach(async () => {
  const { box, say, end } = shown();
  say('$x$');
  await vi.waitFor(() => expect(box.querySelector('.katex')).not.toBeNull());
  end();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  // Whatever is done takes a moment: colours come later, too.
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now++);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  'drawn piece by piece it is what it is at once: %i',
  (seed) => {
    const number = numbers(seed);
    const text = Array.from({ length: 2 + number(6) }, () => PARTS[number(PARTS.length)]).join(
      number(4) ? '\n\n' : '\n',
    );
    const grown = shown();
    const largest = 1 + number(12);
    for (let at = 0; at < text.length; at += 1 + number(largest)) {
      grown.say(text.slice(0, at));
      if (!number(8)) vi.runAllTimers();
      if (number(12)) continue;
      const now = shown();
      now.say(text.slice(0, at));
      vi.runAllTimers();
      expect(seen(grown.box), text.slice(0, at)).toBe(seen(now.box));
      now.end();
    }
    grown.say(text);
    vi.runAllTimers();
    const once = shown();
    once.say(text);
    expect(seen(grown.box), text).toBe(seen(once.box));
    grown.end();
    once.end();
  },
);

const LINES = 'a = 1\n'.repeat(95) + '"""\n' + 'words\n'.repeat(20) + '"""\n' + 'b = f(2)\n'.repeat(90);
test.each([
  ['coloured', `\`\`\`python\n${LINES}`],
  ['plain', `\`\`\`\n${LINES}`],
  ['too long to be coloured', `\`\`\`python\n${`# ${'words '.repeat(100)}\n`.repeat(110)}`],
])('long code that grows is drawn as at once: %s', (_, text) => {
  const grown = shown();
  const once = shown();
  const number = numbers(1);
  for (let at = 0; at < text.length; at += 1 + number(text.length / 25)) {
    grown.say(text.slice(0, at));
    if (number(3)) continue;
    vi.runAllTimers();
    once.say('');
    once.say(text.slice(0, at));
    expect(seen(grown.box)).toBe(seen(once.box));
  }
  once.say('');
  for (const each of [grown, once]) each.say(text);
  vi.runAllTimers();
  expect(seen(grown.box)).toBe(seen(once.box));
  expect(grown.box.querySelectorAll('.lines').length).toBeGreaterThan(1);
  expect(grown.box.querySelector('code')?.textContent).toBe(text.slice(text.indexOf('\n') + 1, -1));
});

test('what a link is called may be said after it, and said otherwise in the next answer', () => {
  const { box, say } = shown();
  say('- see [it][x]\n- also');
  expect(box.querySelector('a')).toBeNull();
  say('- see [it][x]\n- also\n\n[x]: https://example.org');
  expect(box.querySelector('a')?.textContent).toBe('it');
  say('- see [it][x]\n- also');
  expect(box.querySelector('a')).toBeNull();
});

test.each([
  ['a list', '- one *a*\n- two `b`\n- thr', 'ee\n- four\n', 'li'],
  ['a list of paragraphs', '- one\n\n- two\n\n- thr', 'ee\n\n- four\n', 'li, p'],
  ['a list in a quotation', '> 1. one $x$\n> 2. tw', 'o\n> 3. three', 'blockquote, ol, li, .tex'],
  ['a table', '| a | b |\n|---|---|\n| 1 | *2* |\n| 3', ' | 4 |\n| 5 | 6 |\n', 'table, tr, th, td'],
  ['code in a list', '- a\n  ```js\n  let a;\n  let b', ' = 1;\n  let c', 'li, figure, pre, button, span'],
  ['details', '<details><summary>More</summary>\n\n- one\n- tw', 'o\n- three\n\n</details>', 'details, summary, li'],
  ['a paragraph', 'Words *of* $x$ and wo', 'rds [of](https://example.org)', 'p, em, .tex'],
])('of %s that grows, what was there stays', (_, before, more, stays) => {
  const { box, say } = shown();
  say(before);
  const nodes = [...box.querySelectorAll(stays)];
  expect(nodes.length).toBeGreaterThan(1);
  say(before + more);
  vi.runAllTimers();
  expect([...box.querySelectorAll(stays)].slice(0, nodes.length)).toEqual(nodes);
  expect(nodes.every((each) => box.contains(each))).toBe(true);
});

test('what is selected in words that grow stays selected', () => {
  const { box, say, end } = shown();
  document.body.append(box);
  say('- one\n- the sec');
  const words = box.querySelector('li:last-child .words')?.firstChild as Text;
  getSelection()?.setBaseAndExtent(words, 1, words, 6);
  expect(String(getSelection())).toBe('he se');
  say('- one\n- the second *on');
  say('- one\n- the second *one*');
  expect(String(getSelection())).toBe('he se');
  end();
  box.remove();
});

test.each(['> ', '- '])('what is nested deeply is drawn: %s', (sign) => {
  const { box, say } = shown();
  say(sign.repeat(300) + 'wo');
  say(sign.repeat(300) + 'words');
  expect(box.textContent?.trim()).toBe('words');
});

/** How many nodes come, go or change while something is done. */
function changes(box: HTMLElement, act: () => void): number {
  const observer = new MutationObserver(() => {});
  observer.observe(box, { subtree: true, childList: true, characterData: true, attributes: true });
  act();
  const records = observer.takeRecords();
  observer.disconnect();
  return records.reduce((sum, each) => sum + Math.max(1, each.addedNodes.length + each.removedNodes.length), 0);
}

const CODE = "    total = compute(first, 'text') + 1  # note\n".repeat(200);
test.each([
  ['a list', '- an item\n'.repeat(300), '- and'],
  ['a table', '| a |\n|---|\n' + '| 1 |\n'.repeat(300), '| 2'],
  ['code', `\`\`\`python\n${CODE}`, 'more'],
  ['long code', `\`\`\`nothing\n${CODE.repeat(15)}`, 'more'],
  ['code in a list', `- a\n  \`\`\`\n${CODE}`, '    more'],
])('a piece of %s changes as little as it says', (_, before, more) => {
  const { box, say } = shown();
  say(before);
  expect(changes(box, () => say(before + more))).toBeLessThan(12);
  expect(changes(box, () => say(before + more + ' words'))).toBeLessThan(4);
});
