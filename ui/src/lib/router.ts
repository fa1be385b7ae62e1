/** Which page is a path? Pure; the browser's history is `navigation.svelte.ts`. */

import { ROOT } from './root';

export const BASE = `${ROOT}/ui`;

export const PAGES = ['models', 'chat', 'ports', 'activity', 'logs', 'config', 'setup', 'nodes', 'system'] as const;
export type Page = (typeof PAGES)[number];

export interface Place {
  /** `unknown` is a page that there is not; `rest` is then all of its path. */
  page: Page | 'unknown';
  /** What follows the page in the path, decoded: a model id for `models`. */
  rest: string;
  query: URLSearchParams;
}

export function placeOf(pathname: string, search = ''): Place {
  const isOurs = pathname === BASE || pathname.startsWith(`${BASE}/`);
  const parts = (isOurs ? pathname.slice(BASE.length) : pathname).split('/').filter(Boolean);
  const [first = 'models', ...rest] = parts;
  const query = new URLSearchParams(search);
  if (!isPage(first)) return { page: 'unknown', rest: parts.map(decode).join('/'), query };
  return { page: first, rest: rest.map(decode).join('/'), query };
}

function isPage(name: string): name is Page {
  return (PAGES as readonly string[]).includes(name);
}

export function hrefOf(page: Page, rest = '', query: Record<string, string> = {}): string {
  const tail = rest ? `/${rest.split('/').map(encodeURIComponent).join('/')}` : '';
  const search = new URLSearchParams(query).toString();
  return `${BASE}/${page}${tail}${search ? `?${search}` : ''}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
