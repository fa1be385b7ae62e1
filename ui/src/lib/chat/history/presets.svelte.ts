/** Where are presets kept? In one record of this browser, which every tab reads anew before it changes it. */
import { list, record } from '../thread';
import type { Parameters } from '../conversation';
import { type Preset, restoredPresets, withImported, withPreset, without } from './presets';

const KEY = 'claracore.chat.presets';

class Presets {
  all: Preset[] = $state.raw(stored());

  constructor() {
    addEventListener('storage', ({ key }) => {
      if (key === KEY || key === null) this.all = stored();
    });
  }

  /** Keeps parameters under a name; what was called so is replaced. */
  save(name: string, parameters: Parameters): void {
    this.#change((all) => withPreset(all, { name, parameters }));
  }

  rename(from: string, to: string): void {
    this.#change((all) => {
      const preset = all.find(({ name }) => name === from);
      return preset ? withPreset(without(all, from), { ...preset, name: to }) : all;
    });
  }

  remove(name: string): void {
    this.#change((all) => without(all, name));
  }

  take(presets: readonly Preset[]): void {
    this.#change((all) => withImported(all, presets));
  }

  #change(change: (all: Preset[]) => Preset[]): void {
    this.all = change(stored());
    localStorage.setItem(KEY, JSON.stringify({ presets: this.all }));
  }
}

function stored(): Preset[] {
  try {
    return restoredPresets(list(record(JSON.parse(localStorage.getItem(KEY) ?? 'null')).presets));
  } catch {
    return [];
  }
}

export const presets = new Presets();
