/** With which model does a conversation begin when nobody has said? Pure. */
import type { Model } from '../api/types';

/**
 * The one that was talked with last in this browser; else a favourite, else one that is loaded, else one whose start has
 * not failed; one that has learnt to converse before one that only writes on, and one that is loaded before others.
 * Undefined where there is no model.
 */
export function usual(
  models: readonly Model[],
  favourites: ReadonlySet<string>,
  lately: readonly string[],
): Model | undefined {
  const able = models.filter(({ error }) => !error).toSorted((a, b) => only(a) - only(b));
  const last = lately.map((id) => able.find((model) => model.id === id)).find(Boolean);
  const starred = able.filter(({ id }) => favourites.has(id));
  return last ?? loadedFirst(starred) ?? loadedFirst(able) ?? models[0];
}

/** 1 for a model that only writes on. */
function only({ kind }: Model): number {
  return Number(kind === 'base');
}

function loadedFirst(models: readonly Model[]): Model | undefined {
  return models.find(({ state }) => state === 'ready') ?? models[0];
}
