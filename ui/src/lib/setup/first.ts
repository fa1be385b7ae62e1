/** Of several models that have just been found: with which one is the first word spoken? Pure; sizes in bytes. */
import type { Model } from '../api/types';
import { canChat } from '../kinds';

/** What a processor alone reads fast enough for a conversation. */
const FAST_IN_RAM = 5e9;

/**
 * The largest that lies on a graphics device as a whole, since larger ones say more; else the largest of those that a
 * processor is fast enough for; else the smallest. Null where none can be talked to now.
 */
export function firstToTalkTo(models: readonly Model[]): Model | null {
  const able = models.filter((model) => canChat(model) && model.would_not_fit === null && !model.error);
  const converse = able.filter(({ kind }) => kind !== 'base');
  const largest = (converse.length ? converse : able).toSorted((a, b) => bytes(b) - bytes(a));
  const onCards = largest.find((model) => bytes(model) > 0 && inRam(model) < bytes(model) / 10);
  return onCards ?? largest.find((model) => bytes(model) <= FAST_IN_RAM) ?? largest.at(-1) ?? null;
}

function bytes({ memory }: Model): number {
  return Object.values(memory.expected ?? memory.devices).reduce((total, each) => total + each, 0);
}

function inRam({ memory }: Model): number {
  return (memory.expected ?? memory.devices).ram ?? 0;
}
