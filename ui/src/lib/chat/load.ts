/** What becomes of a load when who waited for it has stopped? Pure. */
import type { Model } from '../api/types';
import { about } from '../format';

/** What is said of a load for which nobody waits; empty where somebody does, or wants the model to stay. */
export function goesOn({ id, name, state, waiting, pinned, progress, expected_seconds: left }: Model): string {
  if (state !== 'starting' || waiting || pinned) return '';
  const far = [progress === null ? '' : `${Math.round(progress * 100)} %`, about(left)].filter(Boolean).join(', ');
  return `${name || id} goes on loading${far ? ` (${far})` : ''}. Nobody waits for it.`;
}
