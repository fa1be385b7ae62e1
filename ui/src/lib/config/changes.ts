/** What will happen when this configuration is saved, model by model? From the server's comparison. Pure. */
import type { Changes, Model } from '../api/types';

export interface Consequence {
  what: 'restart' | 'stop' | 'start' | 'new' | 'gone' | 'changed' | 'stay';
  id: string;
  text: string;
}

const ORDER = ['stop', 'restart', 'start', 'new', 'gone', 'changed', 'stay'] as const;
export const COLOURS: Record<Consequence['what'], string> = {
  stop: 'bad',
  restart: 'warn',
  start: 'ok',
  new: 'ok',
  gone: '',
  changed: 'info',
  stay: '',
};

export function consequences(changes: Changes, models: readonly Model[]): Consequence[] {
  const runs = (id: string) => models.some((model) => model.id === id && model.state !== 'stopped');
  const busy = (id: string) => models.find((model) => model.id === id)?.serving ?? 0;
  const ends = (id: string) =>
    busy(id) ? `, after its ${busy(id) === 1 ? 'answer' : `${busy(id)} answers`} ended` : '';
  const found: Consequence[] = [
    ...changes.removed.map((id): Consequence =>
      runs(id)
        ? { what: 'stop', id, text: `is removed and stops${ends(id)}` }
        : { what: 'gone', id, text: 'is removed' },
    ),
    ...changes.restart.map((id): Consequence =>
      runs(id)
        ? { what: 'restart', id, text: `restarts with its new command${ends(id)}` }
        : { what: 'changed', id, text: 'has a new command from its next start' },
    ),
    ...changes.added.map((id): Consequence => ({ what: 'new', id, text: 'is added; it starts when it is asked for' })),
    ...changes.soft.map((id): Consequence => ({ what: 'changed', id, text: 'changes without a restart' })),
    ...changes.kept.filter(runs).map((id): Consequence => ({ what: 'stay', id, text: 'keeps running' })),
  ];
  return found.sort((a, b) => ORDER.indexOf(a.what) - ORDER.indexOf(b.what));
}

export function nothing(changes: Changes): boolean {
  return ![changes.added, changes.removed, changes.restart, changes.soft, changes.settings].some((list) => list.length);
}
