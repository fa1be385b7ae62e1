/** What can be done to a model? The calls behind the buttons. */
import { ask, idPath, json } from './api/client';
import type { LoadedView } from './api/schema';
import type { Model } from './api/types';

/** Models that this page has unloaded since it last loaded them. */
const unloaded = new Set<string>();

/** Whether a load that this page waits for was ended by this page: whoever did that says so. */
export const endedHere = (id: string): boolean => unloaded.has(id);

/** A `signal` ends the wait; the load goes on. */
export function loadModel(id: string, signal?: AbortSignal): Promise<LoadedView> {
  unloaded.delete(id);
  return json(`/api/models/load/${idPath(id)}`, { method: 'POST', signal });
}

export function unloadModel(id: string): Promise<void> {
  return unloading([id], `/api/models/unload/${idPath(id)}`);
}

/** `ids`: all that are there. */
export function unloadAll(ids: readonly string[]): Promise<void> {
  return unloading(ids, '/api/models/unload');
}

async function unloading(ids: readonly string[], path: string): Promise<void> {
  for (const id of ids) unloaded.add(id);
  try {
    await ask(path, { method: 'POST' });
  } catch (error) {
    for (const id of ids) unloaded.delete(id);
    throw error;
  }
}

export function pinModel(id: string, pinned: boolean): Promise<Model> {
  return json(`/api/models/pin/${idPath(id)}`, { method: 'PUT', body: { pinned } });
}

/** Write what a model is started with for want of memory into the configuration, or start it as configured again. */
export function settleLesser(id: string, keep: boolean): Promise<Model> {
  return json(`/api/models/lesser/${idPath(id)}`, { method: 'PUT', body: { keep } });
}

export async function cancelRequest(id: number): Promise<void> {
  await ask(`/api/requests/${id}/cancel`, { method: 'POST' });
}
