/** How does a person hear that something with a model failed, wherever they are? In a line; the rest is a click away. */
import { ApiError, headline } from '../api/errors';
import { navigation } from '../navigation.svelte';
import { notices } from '../notices.svelte';
import { hrefOf } from '../router';

export const notLoaded = (model: string) => `${model} is not loaded any further`;

export function sayFailed(model: string, error: unknown): void {
  // Somebody wanted that, most likely who reads this.
  if (error instanceof ApiError && error.code === 'model_unloaded') return notices.say(notLoaded(model));
  const show = () => navigation.go(hrefOf('models', model));
  notices.say(headline(error), 'bad', { label: 'Show', run: show });
}
