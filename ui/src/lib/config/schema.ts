/** What may stand at a place of the configuration? Reads the JSON schema that the server gives. Pure. */

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  deprecated?: boolean;
}

export interface Option {
  name: string;
  /** A word about its type, e.g. "number" or "mapping". */
  detail: string;
  about: string;
  /** Whether its value is a block of its own, on the next line. */
  block: boolean;
}

/** All forms that a schema allows, with references and alternatives resolved. */
export function forms(schema: Schema, root: Schema): Schema[] {
  const found: Schema[] = [];
  const visit = (each: Schema, depth: number): void => {
    if (depth > 12) return;
    const name = each.$ref?.replace('#/$defs/', '');
    if (name && root.$defs?.[name])
      visit({ ...root.$defs[name], ...(each.description ? { description: each.description } : {}) }, depth + 1);
    for (const part of [...(each.anyOf ?? []), ...(each.oneOf ?? []), ...(each.allOf ?? [])]) visit(part, depth + 1);
    if (each.type || each.enum || each.properties || each.const !== undefined) found.push(each);
  };
  visit(schema, 0);
  return found;
}

export function at(root: Schema, path: readonly string[]): Schema[] {
  let here: Schema[] = [root];
  for (const step of path) {
    here = here.flatMap((schema) =>
      forms(schema, root).flatMap((form) => {
        if (step === '[]') return form.items ? [form.items] : [];
        const known = form.properties?.[step];
        if (known) return [known];
        return typeof form.additionalProperties === 'object' ? [form.additionalProperties] : [];
      }),
    );
  }
  return here;
}

export function options(root: Schema, path: readonly string[], taken: readonly string[] = []): Option[] {
  const found = new Map<string, Option>();
  for (const schema of at(root, path))
    for (const form of forms(schema, root))
      for (const [name, property] of Object.entries(form.properties ?? {}))
        if (!taken.includes(name) && !found.has(name)) found.set(name, optionOf(name, property, root));
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function optionOf(name: string, property: Schema, root: Schema): Option {
  const all = forms(property, root);
  const types = kinds(all);
  return {
    name,
    detail: types.join(' or '),
    about: about(property, root),
    block: types[0] === 'mapping' || types[0] === 'list',
  };
}

const WORDS: Record<string, string> = {
  object: 'mapping',
  array: 'list',
  string: 'text',
  integer: 'number',
  number: 'number',
  boolean: 'true or false',
};

function kinds(all: readonly Schema[]): string[] {
  // A text that must be a macro may stand everywhere and says nothing about the option.
  const own = all.filter((form) => !(form.type === 'string' && 'pattern' in form && all.length > 1));
  const types = own.flatMap((form) =>
    form.enum ? ['one of a few'] : [form.type ?? []].flat().map((type) => WORDS[type] ?? ''),
  );
  return [...new Set(types.filter(Boolean))];
}

export function about(schema: Schema, root: Schema): string {
  const text = schema.description ?? forms(schema, root).find((form) => form.description)?.description ?? '';
  const standard = schema.default;
  const shown =
    standard === undefined || standard === null || standard === '' ? '' : ` Default: ${JSON.stringify(standard)}.`;
  return `${text}${shown}`.trim();
}

/** Values to offer: enumerations, and true and false. */
export function values(root: Schema, path: readonly string[]): string[] {
  const found = new Set<string>();
  for (const schema of at(root, path))
    for (const form of forms(schema, root)) {
      for (const value of form.enum ?? []) if (value !== null) found.add(String(value));
      if (form.const !== undefined) found.add(String(form.const));
      if (form.type === 'boolean') for (const value of ['true', 'false']) found.add(value);
    }
  return [...found];
}
