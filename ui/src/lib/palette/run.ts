/** How is a command of the palette done? */
import { loadModel, unloadAll, unloadModel } from '../actions';
import { notLoaded, sayFailed } from '../failures/said';
import { live } from '../live.svelte';
import { navigation } from '../navigation.svelte';
import { type NoticeAction, notices } from '../notices.svelte';
import { hrefOf } from '../router';
import { theme } from '../theme.svelte';
import type { Act } from './commands';

/** Does what is asked; `showShortcuts` opens their list. */
export function run(act: Act, showShortcuts: () => void): void {
  switch (act.do) {
    case 'go':
      return navigation.enter(hrefOf(act.page, act.rest, act.query));
    case 'load':
      return load(act.model);
    case 'unload':
      return unload(act.model);
    case 'unload-all':
      return told(unloadAll(), 'All models are unloaded');
    case 'theme':
      return theme.set(act.theme);
    case 'shortcuts':
      return showShortcuts();
  }
}

function unload(model: string): void {
  const again = { label: 'Load again', run: () => load(model) };
  // Whoever asked for the load hears the same: it is one message.
  if (live.model(model)?.state === 'starting') told(unloadModel(model), notLoaded(model));
  else told(unloadModel(model), `${model} is unloaded`, again);
}

function load(model: string): void {
  loadModel(model).then(
    () => notices.say(`${model} is loaded`),
    (error) => sayFailed(model, error),
  );
}

function told(done: Promise<unknown>, text: string, action?: NoticeAction): void {
  done.then(
    () => notices.say(text, 'ok', action),
    (error) => notices.fail(error),
  );
}
