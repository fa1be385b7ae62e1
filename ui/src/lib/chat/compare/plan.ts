/** What will happen when these models are asked the same: do they run together, or is one swapped for the other? Pure. */
import type { Together } from '../../api/types';
import { about, listed } from '../../format';

type Step = Together['steps'][number];

export interface Plan {
  /** `good`: they answer at the same time; `others`: one after the other; `bad`: one of them is refused. */
  tone: 'good' | 'others' | 'bad';
  text: string;
}

const NUMBERS = ['', 'one', 'two', 'three', 'four'];

/** What is said of a comparison; `name` is what a person calls a model. */
export function planOf({ steps, together }: Together, name: (id: string) => string = (id) => id): Plan {
  const these = `These ${NUMBERS[steps.length] ?? steps.length}`;
  const refused = steps.find((step) => step.refused !== null);
  if (refused) return { tone: 'bad', text: `${name(refused.model)} would be refused: ${refused.refused}` };
  if (together && steps.every((step) => step.loaded && !step.loading))
    return { tone: 'good', text: `${these} are loaded and answer at the same time.` };
  const ids = new Set(steps.map(({ model }) => model));
  const turns = steps.map((step, index) => turn(step, steps.slice(0, index), ids, name));
  const head = together ? `${these} fit together` : `${these} do not fit together`;
  return { tone: together ? 'good' : 'others', text: `${head}: ${turns.join(', ')}.` };
}

function turn(step: Step, before: readonly Step[], ids: Set<string>, name: (id: string) => string): string {
  const who = name(step.model);
  const time = step.loaded && !step.loading ? '' : about(step.seconds);
  const load = time && `, ${time}`;
  const others = step.unloads.filter((id) => !ids.has(id));
  const outside = others.length ? `, which unloads ${listed(others.map(name))}` : '';
  const gone = step.unloads.filter((id) => ids.has(id));
  if (step.loading)
    return before.length
      ? `${who} is being loaded beside it${load}`
      : `${who} is being loaded and answers first${load}`;
  if (!before.length)
    return step.loaded ? `${who} answers first` : `${who} is loaded and answers first${load}${outside}`;
  if (gone.length) {
    const last = gone.length === 1 && gone[0] === before.at(-1)!.model;
    const whom = last ? 'it is' : `${listed(gone.map(name))} ${gone.length > 1 ? 'are' : 'is'}`;
    return `then ${whom} swapped for ${who}${load}${outside}`;
  }
  return step.loaded ? `${who} beside it` : `then ${who} is loaded beside it${load}${outside}`;
}
