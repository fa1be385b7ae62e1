/** What does being in one group mean for these models, in a few words? */
import type { Group as Rules, Model } from './api/types';

const STAYS = 'not unloaded for others';

/** What people call a group. */
export function groupTitle(name: string): string {
  return { '(default)': 'Models without a group', '(peers)': 'Models of other servers' }[name] ?? name;
}

/** The rules of a group, where they are one, and what loading one of its models would unload if that is the same for all of them. */
export function groupNote(models: readonly Model[], rules?: Rules, memoryDecides = false): string {
  if (memoryDecides) return rules?.persistent ? STAYS : '';
  const notes = rules ? ruleNotes(rules) : [];
  const ids = new Set(models.map((model) => model.id));
  const [first] = idle(models);
  if (first?.would_unload.length && !differ(models)) {
    const outside = !first.would_unload.some((id) => ids.has(id));
    notes.push(`loading ${outside ? 'one' : 'another one'} unloads ${first.would_unload.join(', ')}`);
  }
  return notes.join('; ');
}

/** Whether loading one of these models would unload others than loading another of them. */
export function differ(models: readonly Model[]): boolean {
  return new Set(idle(models).map((model) => model.would_unload.join())).size > 1;
}

function idle(models: readonly Model[]): Model[] {
  return models.filter((model) => model.state === 'stopped');
}

function ruleNotes({ swap, exclusive, persistent }: Rules): string[] {
  const notes = [swap ? 'one runs at a time' : 'run together'];
  if (!exclusive) notes.push('beside other groups');
  if (persistent) notes.push(STAYS);
  return notes;
}
