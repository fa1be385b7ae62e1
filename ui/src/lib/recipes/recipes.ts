/** Which recipe is shown, and with which key in it? */
import type { RecipesView, RecipeView } from '$lib/api/schema';

export type Recipes = RecipesView;
export type Recipe = RecipeView;

const CHOSEN = 'claracore.recipe';

/** Groups in the order in which they come. */
export function grouped(recipes: readonly Recipe[]): [string, Recipe[]][] {
  const found = new Map<string, Recipe[]>();
  for (const recipe of recipes) found.set(recipe.group, [...(found.get(recipe.group) ?? []), recipe]);
  return [...found];
}

/** The one of that name, or else the first. */
export function shown(recipes: readonly Recipe[], name: string): Recipe | undefined {
  return recipes.find((recipe) => recipe.name === name) ?? recipes[0];
}

/** A recipe's text with a key where one is asked for; without one it stays as it is. */
export function withKey(text: string, found: Recipes, key: string): string {
  return found.needs_key && key ? text.replaceAll(found.key, () => key) : text;
}

/** Its paragraphs without their line breaks, which are those of a file; code and tables as they are. */
export function flowing(text: string): string {
  return text
    .split(/(^```[^]*?^```$)/m)
    .map((part, index) => (index % 2 ? part : part.replace(/([^\n|])\n(?![\n|#-])/g, '$1 ')))
    .join('');
}

export function rememberedChoice(): string {
  return localStorage.getItem(CHOSEN) ?? '';
}

export function rememberChoice(name: string): void {
  localStorage.setItem(CHOSEN, name);
}
