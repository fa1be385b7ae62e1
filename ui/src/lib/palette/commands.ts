/** What can be done from the palette, and which of it does a person mean? Pure; `run.ts` does it. */
import type { Model } from '../api/types';
import { count } from '../format';
import type { Page } from '../router';
import type { Theme } from '../theme.svelte';

export type Act =
  | { do: 'go'; page: Page; rest?: string; query?: Record<string, string> }
  | { do: 'load' | 'unload'; model: string }
  | { do: 'unload-all' }
  | { do: 'theme'; theme: Theme }
  | { do: 'shortcuts' };

export interface Command {
  id: string;
  title: string;
  /** What it is about, in a word or two, behind the title. */
  note: string;
  /** Other words by which it is found. */
  words: string;
  act: Act;
}

export interface Around {
  names: Record<Page, string>;
  models: readonly Model[];
  /** The port that each model is planned for. */
  ports: Record<string, number>;
}

const THEMES: [Theme, string][] = [
  ['light', 'Light colours'],
  ['dark', 'Dark colours'],
  ['system', 'Colours as the system has them'],
];

/** What people look for that stands on a page. */
const WITHIN: Partial<Record<Page, string>> = {
  system: 'api keys, tokens, engines, memory',
  setup: 'get download search folder',
  config: 'yaml settings',
  activity: 'requests history swaps',
};

/** All that can be done now: pages first, then what concerns models that run, then the others. */
export function commands({ names, models, ports }: Around): Command[] {
  const pages = (Object.entries(names) as [Page, string][]).map(([page, title]) =>
    command(`go ${page}`, `Go to ${title}`, 'page', `${page} ${WITHIN[page] ?? ''}`, { do: 'go', page }),
  );
  const running = models.filter(({ state }) => state !== 'stopped');
  const stopped = models.filter(({ state }) => state === 'stopped');
  return [
    ...pages,
    ...[...running, ...stopped].flatMap((model) => ofModel(model, ports[model.id] ?? model.port)),
    ...(running.length ? [command('unload all', 'Unload all models', 'models', '', { do: 'unload-all' })] : []),
    ...THEMES.map(([theme, title]) =>
      command(`theme ${theme}`, title, 'theme', `theme ${theme}`, { do: 'theme', theme }),
    ),
    command('shortcuts', 'Show the shortcuts', 'help', 'keyboard keys', { do: 'shortcuts' }),
  ];
}

function ofModel(model: Model, port: number | null): Command[] {
  const { id, name, state } = model;
  const words = [name, ...model.aliases].join(' ');
  const loads = state === 'stopped' || state === 'stopping';
  const found = [
    loads
      ? command(`load ${id}`, `Load ${id}`, state, words, { do: 'load', model: id })
      : command(`unload ${id}`, `Unload ${id}`, state, words, { do: 'unload', model: id }),
    command(`open ${id}`, `Open ${id}`, 'model', words, { do: 'go', page: 'models', rest: id }),
    command(`log ${id}`, `Log of ${id}`, 'log', `${words} output open`, { do: 'go', page: 'logs', rest: id }),
    command(`chat ${id}`, `Chat with ${id}`, 'chat', words, { do: 'go', page: 'chat', query: { model: id } }),
  ];
  return port ? [...found, whyPort(port, id)] : found;
}

function whyPort(port: number, model = ''): Command {
  const act: Act = { do: 'go', page: 'ports', query: { why: String(port) } };
  return command(`why ${port}`, `Why port ${port}?`, model || 'port', '', act);
}

function command(id: string, title: string, note: string, words: string, act: Act): Command {
  return { id, title, note, words, act };
}

const PORT = /^\D*?(\d{2,5})\??$/;
const NUMBER = /^\D*?(\d{5,})\??$/;
const HIGHEST_PORT = 65_535;
export const MOST_SHOWN = 40;

export interface Matching {
  /** The best first; no more than `MOST_SHOWN`, and a port. */
  shown: Command[];
  /** How many there are. */
  of: number;
}

/**
 * The commands that have every word of what was typed, the best first: words that begin the title, then words that
 * begin any word of it, then words anywhere. A number of which nothing is known is a port to ask about.
 */
export function matching(all: readonly Command[], typed: string): Matching {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const rated = all
    .map((each) => ({ each, rank: rank(each, words) }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => a.rank - b.rank);
  const port = Number(PORT.exec(typed.trim())?.[1] ?? 0);
  const known = rated.some(({ each: { id } }) => id === `why ${port}`);
  const asked = port > 0 && port <= HIGHEST_PORT && !known ? [whyPort(port)] : [];
  const shown = rated.slice(0, MOST_SHOWN).map(({ each }) => each);
  return { shown: [...shown, ...asked], of: rated.length + asked.length };
}

/** Why nothing was found. */
export function nothing(typed: string): string {
  const port = Number(NUMBER.exec(typed.trim())?.[1] ?? 0);
  return port > HIGHEST_PORT
    ? `There is no port ${port}: they go from 1 to ${HIGHEST_PORT}.`
    : `Nothing is called “${typed}”.`;
}

/** How many there are, in words. */
export function howMany({ shown, of }: Matching): string {
  return shown.length < of ? `the first ${shown.length} of ${count(of)}` : `${count(of)} found`;
}

/** How far a command is from what was typed; -1 when a word is missing. */
function rank({ title, note, words }: Command, typed: readonly string[]): number {
  const [head, all] = [title.toLowerCase(), `${title} ${note} ${words}`.toLowerCase()];
  let sum = 0;
  for (const word of typed) {
    const at = all.indexOf(word);
    if (at < 0) return -1;
    if (head.startsWith(word)) continue;
    sum += new RegExp(`(^|[^a-z0-9])${escaped(word)}`).test(head) ? 1 : at < head.length ? 2 : 3;
  }
  return sum;
}

const escaped = (word: string) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
