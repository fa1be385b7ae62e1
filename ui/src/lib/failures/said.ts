/** How does a person hear that something with a model failed, wherever they are? In a line; the rest is a click away. */
import { headline } from '../api/errors';
import { navigation } from '../navigation.svelte';
import { notices } from '../notices.svelte';
import { hrefOf } from '../router';

export function sayFailed(model: string, error: unknown): void {
  const show = () => navigation.go(hrefOf('models', model));
  notices.say(headline(error), 'bad', { label: 'Show', run: show });
}
