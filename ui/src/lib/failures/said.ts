/** How does a person hear what has become of a model, wherever they are? Once, and in a line; the rest is a click away. */
import { endedHere, loadModel, unloadAll, unloadModel } from '../actions';
import { ApiError, headline } from '../api/errors';
import { begun } from '../live';
import { live } from '../live.svelte';
import { navigation } from '../navigation.svelte';
import { type NoticeAction, notices } from '../notices.svelte';
import { hrefOf } from '../router';

const notLoaded = (name: string) => `${name} is not loaded any further`;

export function sayFailed(model: string, error: unknown): void {
  if (error instanceof ApiError && error.code === 'model_unloaded') {
    // Somebody wanted that.
    if (!endedHere(model)) notices.say(notLoaded(model));
    return;
  }
  const show = () => navigation.go(hrefOf('models', model));
  notices.say(headline(error), 'bad', { label: 'Show', run: show });
}

/** Unloads a model, or ends its load, and says which of both; rejects when that cannot be. */
export async function unloadAndSay(id: string, name = id): Promise<void> {
  const model = live.model(id);
  const loading = model !== undefined && begun(model);
  await unloadModel(id);
  if (loading) notices.say(notLoaded(name));
  else notices.say(`${name} is unloaded`, 'ok', loadAgain([id]));
}

/** Unloads all that run, and says which. It takes time to load them again, so it can be taken back. */
export async function unloadAllAndSay(): Promise<void> {
  const ids = live.models.filter(({ state }) => state === 'ready' || state === 'starting').map(({ id }) => id);
  try {
    await unloadAll(live.models.map(({ id }) => id));
    notices.say(`Unloaded ${ids.join(', ')}`, 'ok', loadAgain(ids));
  } catch (error) {
    notices.fail(error);
  }
}

/** A button that takes an unloading back. */
function loadAgain(ids: readonly string[]): NoticeAction {
  const run = async () => {
    for (const id of ids) await loadModel(id).catch((error) => sayFailed(id, error));
  };
  return { label: 'Load again', run: () => void run() };
}
