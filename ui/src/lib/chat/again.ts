/** What if a model is asked whose start has just failed? */
import { SvelteMap } from 'svelte/reactivity';
import { loadModel } from '../actions';
import { ApiError } from '../api/errors';
import { failedStart } from '../failures/remedies';
import { live } from '../live.svelte';

/** How many loads were asked for here and left, by model: to the server they still wait. Until that load is over. */
export const left = new SvelteMap<string, number>();

/**
 * Has it loaded: to requests its error is told again for a while, but here a person asks, and may have mended something.
 * Does nothing for any other model, and where the key may not. Throws what the load fails with.
 */
export async function triedAgain(id: string, signal: AbortSignal): Promise<void> {
  const model = live.model(id);
  if (!model || failedStart(model) === null) return;
  left.delete(model.id);
  try {
    await loadModel(model.id, signal);
  } catch (error) {
    if (signal.aborted) left.set(model.id, (left.get(model.id) ?? 0) + 1);
    if (!(error instanceof ApiError) || ![401, 403].includes(error.status)) throw error;
  }
}
