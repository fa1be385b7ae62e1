/** What becomes of a load when who waited for it has stopped? Pure. */
import type { Model } from '../api/types';
import { about } from '../format';

/**
 * What is said of a load for which nobody waits; empty where somebody does, or wants the model to stay. `left` of those
 * that wait are loads that were asked for here and left.
 */
export function goesOn(model: Model, left = 0): string {
  const { id, name, state, waiting, pinned, progress, expected_seconds: seconds } = model;
  if (state !== 'starting' || waiting > left || pinned) return '';
  const far = [progress === null ? '' : `${Math.round(progress * 100)} %`, about(seconds)].filter(Boolean).join(', ');
  return `${name || id} goes on loading${far ? ` (${far})` : ''}. Nobody waits for it.`;
}
