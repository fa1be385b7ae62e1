/** In which order are models listed, under which headings? Pure. */
import type { Model } from '../api/types';
import { groupTitle } from '../groups';
import { byText, grouped, matches } from '../live';
import { type Headers, familyKey, familyOf } from './families';

/** More rows than this are drawn only where they are seen, and families begin to help. */
export const MANY = 60;

export type Order = 'group' | 'family' | 'name';
export const ORDERS: Record<Order, string> = { group: 'By group', family: 'By family', name: 'By name' };

export interface Section {
  key: string;
  title: string;
  /** What it is called for who cannot see where it begins. */
  label: string;
  models: Model[];
  /** The group of the configuration, where that is what a section is. */
  group: string | null;
}

export interface Wishes {
  wanted: string;
  order: Order;
  favourites: ReadonlySet<string>;
  headers?: Headers;
}

/** Favourites first, then the others as wished; sections without a model that matches are left out. */
export function sections(models: readonly Model[], { wanted, order, favourites, headers }: Wishes): Section[] {
  const found = models.filter(matches(wanted));
  const starred = found.filter((model) => favourites.has(model.id));
  const rest = starred.length ? found.filter((model) => !favourites.has(model.id)) : found;
  const others = { group: byGroup, family: byFamily, name: byName }[order](rest, headers);
  return [plain('favourites', 'Favourites', starred), ...others].filter((section) => section.models.length);
}

/** Until a person chooses: the groups of the configuration where it has some, or where there is little to order. */
export function likelyOrder(models: readonly Model[]): Order {
  const hasGroups = models.some((model) => !['(default)', '(peers)'].includes(model.group));
  return hasGroups || models.length <= MANY ? 'group' : 'family';
}

function byGroup(models: readonly Model[]): Section[] {
  return grouped(models).map(({ name, models: members }) => ({
    key: `group ${name}`,
    title: groupTitle(name),
    label: `Group ${name}`,
    models: members,
    group: name,
  }));
}

/** Whoever is alone in a family is among the others, at the end. */
function byFamily(models: readonly Model[], headers: Headers = {}): Section[] {
  const families = new Map<string, { title: string; models: Model[] }>();
  for (const model of models) {
    const title = familyOf(model, headers);
    const key = familyKey(title);
    const family = families.get(key) ?? { title, models: [] };
    family.models.push(model);
    families.set(key, family);
  }
  const sorted = [...families].sort(([a], [b]) => byText(a, b));
  const alone = sorted.flatMap(([, family]) => (family.models.length === 1 ? family.models : []));
  const many = sorted.filter(([, family]) => family.models.length > 1);
  if (!many.length) return byName(alone);
  return [
    ...many.map(([key, { title, models: members }]) => plain(`family ${key}`, title, members, `Family ${title}`)),
    plain('families', 'Other families', alone),
  ];
}

function byName(models: readonly Model[]): Section[] {
  return [plain('all', 'All models', [...models])];
}

function plain(key: string, title: string, models: Model[], label = title): Section {
  return { key, title, label, models, group: null };
}
