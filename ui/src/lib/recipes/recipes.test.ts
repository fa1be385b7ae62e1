import { expect, test } from 'vitest';
import { flowing, grouped, shown, withKey, type Recipe, type Recipes } from './recipes';

function recipe(name: string, group: string): Recipe {
  return { name, title: name, about: '', group, kinds: ['chat'], text: 'key: YOUR_KEY, YOUR_KEY' };
}

const ALL = [recipe('codex', 'Agents'), recipe('zed', 'Editors'), recipe('aider', 'Agents')];
const NEEDED: Recipes = { recipes: ALL, key: 'YOUR_KEY', needs_key: true };

test('groups come in the order of their first recipe', () => {
  expect(grouped(ALL).map(([group, found]) => [group, found.map((each) => each.name)])).toEqual([
    ['Agents', ['codex', 'aider']],
    ['Editors', ['zed']],
  ]);
});

test('the chosen recipe is shown, and another when it is not there', () => {
  expect(shown(ALL, 'zed')?.name).toBe('zed');
  expect(shown(ALL, 'gone')?.name).toBe('codex');
  expect(shown([], 'zed')).toBeUndefined();
});

test('a key is put in where one is asked for, as it is', () => {
  expect(withKey('YOUR_KEY YOUR_KEY', NEEDED, '$&x')).toBe('$&x $&x');
  expect(withKey('YOUR_KEY', NEEDED, '')).toBe('YOUR_KEY');
  expect(withKey('none', { ...NEEDED, key: 'none', needs_key: false }, 'k')).toBe('none');
});

test('paragraphs flow, code and tables stay', () => {
  const code = '```sh ~/x\na\nb\n```';
  const table = '| a |\n|---|\n| b |';
  expect(flowing(`one\ntwo\n\nthree\n\n${code}\n\n${table}\n`)).toBe(`one two\n\nthree\n\n${code}\n\n${table}\n`);
});
