/** What if a model is asked whose start has just failed? */
import { loadModel } from '../actions';
import { ApiError } from '../api/errors';
import { failedStart } from '../failures/remedies';
import { live } from '../live.svelte';

/**
 * Has it loaded: to requests its error is told again for a while, but here a person asks, and may have mended something.
 * Does nothing for any other model, and where the key may not. Throws what the load fails with.
 */
export async function triedAgain(id: string, signal: AbortSignal): Promise<void> {
  const model = live.model(id);
  if (!model || failedStart(model) === null) return;
  try {
    await loadModel(model.id, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || ![401, 403].includes(error.status)) throw error;
  }
}
