/** What can be done to a model? The calls behind the buttons. */
import { ask, idPath, json } from './api/client';
import type { Model } from './api/types';

/** A `signal` ends the wait; the load goes on. */
export function loadModel(
  id: string,
  signal?: AbortSignal,
): Promise<{ model: string; state: string; port: number | null; seconds: number }> {
  return json(`/api/models/load/${idPath(id)}`, { method: 'POST', signal });
}

export async function unloadModel(id: string): Promise<void> {
  await ask(`/api/models/unload/${idPath(id)}`, { method: 'POST' });
}

export async function unloadAll(): Promise<void> {
  await ask('/api/models/unload', { method: 'POST' });
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
