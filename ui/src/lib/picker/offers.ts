/** Which models are there to choose from, in which order, under which headings? Pure. */
import type { Model } from '../api/types';
import type { Headers } from '../list/families';
import { sections } from '../list/sections';
import { nameOf } from '../live';

/** What may be chosen: a model, or something beside the models, as `All models`. */
export interface Choice {
  value: string;
  title: string;
  model: Model | null;
}
export interface Shelf {
  key: string;
  /** Empty above what needs no heading. */
  title: string;
  choices: Choice[];
}
export interface Wishes {
  wanted: string;
  favourites: ReadonlySet<string>;
  headers?: Headers;
}

/** What is beside the models first, then those that run, favourites, and the others by family; only what has the words. */
export function shelves(models: readonly Model[], others: readonly Choice[], wishes: Wishes): Shelf[] {
  const running = models.filter(({ state }) => state !== 'stopped');
  const stopped = models.filter(({ state }) => state === 'stopped');
  const [up] = sections(running, { wanted: wishes.wanted, order: 'name', favourites: new Set() });
  const found: Shelf[] = [
    { key: 'others', title: '', choices: others.filter(({ title, value }) => has(`${title} ${value}`, wishes.wanted)) },
    { key: 'running', title: 'Loaded', choices: (up?.models ?? []).map(choice) },
    ...sections(stopped, { ...wishes, order: 'family' }).map(({ key, title, models: members }) => ({
      key,
      title: key === 'all' ? 'Loaded when asked' : title,
      choices: members.map(choice),
    })),
  ];
  return found.filter(({ choices }) => choices.length);
}

/** What Enter would choose: what the person moved to, else what is called exactly so, else the first. */
export function activeIn(choices: readonly Choice[], moved: string | null, typed: string): Choice | undefined {
  const exact = typed.trim().toLowerCase();
  return (
    choices.find(({ value }) => value === moved) ??
    choices.find(({ value, title }) => [value, title].some((name) => name.toLowerCase() === exact)) ??
    choices[0]
  );
}

function choice(model: Model): Choice {
  return { value: model.id, title: nameOf(model), model };
}

function has(text: string, wanted: string): boolean {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => text.toLowerCase().includes(word));
}
