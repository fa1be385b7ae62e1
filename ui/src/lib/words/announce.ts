/** What is said aloud when a model's state changes? For who does not see it. Pure. */
import type { Model } from '../api/types';

/** Empty when it is not worth a word: loads tell when they are over, not how they go. */
export function announcement(before: Model | undefined, now: Model): string {
  if (!before || before.state === now.state) return '';
  const name = now.name || now.id;
  if (now.state === 'ready') return before.state === 'starting' ? `${name} is ready` : '';
  if (now.state !== 'stopped') return '';
  if (now.error) return `${name} failed: ${now.error.split('\n')[0]}`;
  return before.state === 'starting' ? `${name} is not loaded: its load was ended` : `${name} is unloaded`;
}
