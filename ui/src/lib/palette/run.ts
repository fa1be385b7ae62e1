/** How is a command of the palette done? */
import { loadModel } from '../actions';
import { sayFailed, unloadAllAndSay, unloadAndSay } from '../failures/said';
import { navigation } from '../navigation.svelte';
import { notices } from '../notices.svelte';
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
      return void unloadAndSay(act.model).catch((error) => notices.fail(error));
    case 'unload-all':
      return void unloadAllAndSay();
    case 'theme':
      return theme.set(act.theme);
    case 'shortcuts':
      return showShortcuts();
  }
}

function load(model: string): void {
  loadModel(model).then(
    () => notices.say(`${model} is loaded`),
    (error) => sayFailed(model, error),
  );
}
