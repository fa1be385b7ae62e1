/** How is a command of the palette done? */
import { loadModel, unloadAll, unloadModel } from '../actions';
import { navigation } from '../navigation.svelte';
import { notices } from '../notices.svelte';
import { hrefOf } from '../router';
import { theme } from '../theme.svelte';
import type { Act } from './commands';

/** Does what is asked; `showShortcuts` opens their list. */
export function run(act: Act, showShortcuts: () => void): void {
  switch (act.do) {
    case 'go':
      navigation.go(hrefOf(act.page, act.rest, act.query));
      // A screen reader goes on with the page that was asked for.
      document.getElementById('main')?.focus();
      return;
    case 'load':
      return told(loadModel(act.model), `${act.model} is loaded`);
    case 'unload':
      return told(unloadModel(act.model), `${act.model} is unloaded`, act.model);
    case 'unload-all':
      return told(unloadAll(), 'All models are unloaded');
    case 'theme':
      return theme.set(act.theme);
    case 'shortcuts':
      return showShortcuts();
  }
}

function told(done: Promise<unknown>, text: string, again = ''): void {
  const load = () => void loadModel(again).catch((error) => notices.fail(error));
  done.then(
    () => notices.say(text, 'ok', again ? { label: 'Load again', run: load } : undefined),
    (error) => notices.fail(error),
  );
}
