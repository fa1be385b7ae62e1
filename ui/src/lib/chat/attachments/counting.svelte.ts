/** Who counts the tokens of what is being written? The model's own server, if it is loaded; it is not loaded for that. */
import { SvelteMap } from 'svelte/reactivity';
import { json } from '../../api/client';
import { ApiError } from '../../api/errors';
import type { TokensView } from '../../api/schema';
import { live } from '../../live.svelte';
import type { Wire } from '../conversation';

/** So long nobody types before it is asked, in milliseconds. */
const PAUSE_MS = 250;
const MOST_KNOWN = 500;

export interface Countable {
  /** By which it is remembered: the text itself, or the name of its content. */
  key: string;
  text: string;
}

/** A conversation's beginning, of which all is counted with what the model's template puts around it. */
export interface CountablePrompt {
  key: string;
  messages: readonly Wire[];
}

class Counting {
  #known = new SvelteMap<string, number>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  /** Servers of models that do not count, by process: another one may, and one that is being unloaded is no measure. */
  #cannot = new Map<string, number | null>();

  /** What was counted for a model. */
  told(model: string): (key: string) => number | undefined {
    return (key) => this.#known.get(`${model}\0${key}`);
  }

  /** Has texts counted in a moment, unless more are wanted for the model before. */
  want(model: string, texts: readonly Countable[], prompt: CountablePrompt | null = null): void {
    clearTimeout(this.#timers.get(model));
    const found = live.model(model);
    if (found?.state !== 'ready' || found.asleep || this.#cannot.get(model) === found.pid) return;
    const unknown = ({ key }: { key: string }) => !this.#known.has(`${model}\0${key}`);
    const fresh = texts.filter((each) => each.text && unknown(each)).slice(0, 64);
    const whole = prompt && unknown(prompt) ? prompt : null;
    if (fresh.length || whole)
      this.#timers.set(
        model,
        setTimeout(() => void this.#ask(model, found.pid, fresh, whole), PAUSE_MS),
      );
  }

  async #ask(
    model: string,
    pid: number | null,
    texts: readonly Countable[],
    whole: CountablePrompt | null,
  ): Promise<void> {
    try {
      const body = { model, texts: texts.map(({ text }) => text), messages: whole?.messages ?? [] };
      const { tokens, prompt } = await json<TokensView>('/api/tokens', { method: 'POST', body });
      if (this.#known.size > MOST_KNOWN) this.#known.clear();
      texts.forEach(({ key }, index) => this.#known.set(`${model}\0${key}`, tokens[index] ?? 0));
      if (whole && prompt !== null) this.#known.set(`${model}\0${whole.key}`, prompt);
    } catch (error) {
      // It went away in between, or cannot count: what is shown stays "about".
      if (error instanceof ApiError && !error.offline) this.#cannot.set(model, pid);
    }
  }
}

export const counting = new Counting();
