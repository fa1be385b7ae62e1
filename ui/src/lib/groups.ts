/** What does being in one group mean for these models, in one sentence? */
import { plural } from './format';
import type { Group } from './live';

/** Groups' own settings are not in the list of models; what loading would unload is, and says the same. */
export function groupNote({ models }: Group): string {
  const ids = new Set(models.map((model) => model.id));
  const idle = models.filter((model) => model.state === 'stopped');
  const leaving = [...new Set(idle.flatMap((model) => model.would_unload))];
  const size = plural(models.length, 'model');
  if (!leaving.length) return size;
  const outside = leaving.filter((id) => !ids.has(id));
  const kind = outside.length === leaving.length ? 'loading one unloads' : 'loading another one unloads';
  return `${size}; ${kind} ${leaving.join(', ')}`;
}
