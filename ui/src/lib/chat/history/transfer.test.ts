import { expect, test } from 'vitest';
import { UNSET, emptyAnswer, userMessage } from '../conversation';
import { newThread } from '../thread';
import { withImported, withPreset } from './presets';
import { asJson, asMarkdown, fileName, readTransfer } from './transfer';

const asked = userMessage('Why?');
const figures = {
  first_token_seconds: 1,
  total_seconds: 2,
  prompt_tokens: 3,
  completion_tokens: 4,
  tokens_per_second: 5,
};
const first = { ...emptyAnswer(asked.id, 'phi'), text: 'Because.', at: 1, figures };
const second = { ...emptyAnswer(asked.id, 'phi'), text: 'Who knows?', reasoning: 'Hm.', at: 2 };
const thread = {
  ...newThread('phi'),
  parameters: { ...UNSET, system: 'Be\nshort.' },
  messages: [{ ...asked, at: 0 }, first, second],
  leaf: first.id,
};
const presets = [{ name: 'Pirate', parameters: { ...UNSET, system: 'Arr' } }];

test('what leaves comes back whole, with all its branches', () => {
  expect(readTransfer(asJson({ threads: [thread], presets }))).toEqual({ threads: [thread], presets });
  expect(readTransfer(JSON.stringify([thread])).threads).toEqual([thread]);
  expect(readTransfer(JSON.stringify(thread)).threads).toEqual([thread]);
});

test('Markdown has the branch that is looked at', () => {
  expect(asMarkdown(thread)).toBe(
    '# Why?\n\n**System prompt**\n\n> Be\n> short.\n\n## You\n\nWhy?\n\n## phi\n\nBecause.\n',
  );
  expect(asMarkdown({ ...thread, leaf: second.id })).toContain(
    '<summary>Reasoning</summary>\n\nHm.\n\n</details>\n\nWho',
  );
});

test.each([
  [{ stopped: true }, 'Because.\n\n*(stopped here)*\n'],
  [{ stopped: true, text: '' }, '## phi\n\n*(stopped before the answer)*\n'],
  [{ cut: true }, 'Because.\n\n*(cut here: it had reached its length limit)*\n'],
  [{ figures: null }, 'Because.\n\n*(not finished)*\n'],
  [{ figures: null, text: '' }, '## phi\n\n*(no answer yet)*\n'],
  [{ error: 'it is gone', stopped: true }, 'Because.\n\n> Error: it is gone\n'],
])('Markdown says why an answer is no whole one: %j', (more, end) => {
  const answer = { ...first, ...more };
  expect(asMarkdown({ ...thread, messages: [thread.messages[0]!, answer] }).endsWith(end)).toBe(true);
});

test.each(['', '{', '3', 'null', '"x"', '[]', '[null, 3, [[]]]', '{"threads": 4}', '{"threads": [{"id": "x"}]}'])(
  'a file of nonsense is refused with a sentence: %s',
  (json) => expect(() => readTransfer(json)).toThrow(/no JSON|no conversations/),
);

test('what fits of a file is taken, whatever else is in it', () => {
  const odd = {
    id: 'x',
    leaf: {},
    title: 3,
    parameters: [],
    messages: [{ role: 'user', text: 'hi', parent: 'gone' }, 7],
  };
  const { threads, presets } = readTransfer(
    JSON.stringify({
      threads: [odd, null, { messages: [] }],
      presets: [{ name: ' ' }, 3, { name: 'A', parameters: 4 }],
    }),
  );
  expect(threads).toMatchObject([{ id: 'x', title: '', parameters: UNSET, messages: [{ text: 'hi', parent: null }] }]);
  expect(presets).toEqual([{ name: 'A', parameters: UNSET }]);
});

test('pictures from elsewhere are not taken: nobody is to be asked for them', () => {
  const parts = [
    { type: 'image_url', image_url: { url: 'http://example.org/x.png' } },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
  ];
  const file = JSON.stringify([{ id: 'x', messages: [{ role: 'user', parent: null, parts }] }]);
  expect(readTransfer(file).threads[0]!.messages[0]!.parts).toEqual([parts[1]]);
});

test('presets of a file do not replace others', () => {
  const mine = withPreset(presets, { name: 'Short', parameters: { ...UNSET, max_tokens: 9 } });
  const theirs = [{ name: 'Pirate', parameters: { ...UNSET, system: 'Yo' } }, mine[1]!];
  const both = withImported(mine, theirs);
  expect(both.map(({ name, parameters }) => [name, parameters.system])).toEqual([
    ['Pirate', 'Arr'],
    ['Pirate (2)', 'Yo'],
    ['Short', ''],
  ]);
  expect(withImported(both, theirs)).toEqual(both);
});

test('a file is named after its conversation', () => {
  expect(fileName('Why is the sky blue?', 'md')).toBe('Why-is-the-sky-blue.md');
  expect(fileName('../..', 'json')).toBe('conversation.json');
});

test('Markdown says what was attached', () => {
  const files = [{ name: 'a.txt', kind: 'text', text: 'kept:x', tokens: 1 }];
  const parts = [{ type: 'image_url' as const, image_url: { url: 'kept:y' } }];
  const question = userMessage('What?', { parts, files });
  const markdown = asMarkdown({ ...newThread('m'), messages: [question], leaf: question.id });
  expect(markdown).toContain('## You\n\n*With a picture, a.txt*\n\nWhat?');
});
