/** How does a page ask the server? One fetch with the key, errors as ApiError, and ids safe in paths. */
import { ROOT } from '../root';
import { ApiError, errorFrom } from './errors';

const KEY = 'claracore.key';
let whenRefused: () => void = () => {};

export function apiKey(): string {
  return localStorage.getItem(KEY) ?? '';
}

export function setApiKey(key: string): void {
  if (key) localStorage.setItem(KEY, key);
  else localStorage.removeItem(KEY);
}

/** Registers who is told when the server wants another key. */
export function onRefused(listener: () => void): void {
  whenRefused = listener;
}

/** Model ids may contain "/", which stays; everything else that a path cannot hold is encoded. */
export function idPath(id: string): string {
  return id.split('/').map(encodeURIComponent).join('/');
}

export interface Ask {
  method?: string;
  /** A form, or what is sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/**
 * Who presents the key? We do, from this browser's storage, and leave the browser's own credentials out so that a 401
 * opens our dialog and not the browser's. But where the files of the interface need a password too (a proxy in front),
 * the browser has asked for it before we ran, and knows it: then it goes on presenting it.
 */
let credentials: RequestCredentials = 'omit';

async function browserKnowsKey(): Promise<boolean> {
  if (credentials === 'same-origin') return false;
  const file = await fetch(`${ROOT}/ui/favicon.svg`, { credentials: 'omit', cache: 'no-store' });
  if (file.status === 401) credentials = 'same-origin';
  return file.status === 401;
}

/** `path` is one of the server's. Returns the response once its status says success. Throws ApiError otherwise, or the AbortError of `signal`. */
export async function ask(path: string, { method = 'GET', body, headers = {}, signal }: Ask = {}): Promise<Response> {
  const key = apiKey();
  const init: RequestInit = {
    method,
    credentials: key ? 'omit' : credentials,
    cache: 'no-store',
    headers: { ...headers },
  };
  const sent = init.headers as Record<string, string>;
  if (key) sent.Authorization = `Bearer ${key}`;
  // The browser writes the type of a form, with what separates its parts.
  if (body instanceof FormData) init.body = body;
  else if (body !== undefined) {
    sent['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(ROOT + path, init);
    if (response.status === 401 && !key && (await browserKnowsKey()))
      response = await fetch(ROOT + path, { ...init, credentials });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'ClaraCore cannot be reached');
  }
  if (response.ok) return response;
  // What was asked before a key was given says nothing about that one.
  if (response.status === 401 && key === apiKey()) whenRefused();
  throw errorFrom(response.status, await response.text());
}

export async function json<T>(path: string, options: Ask = {}): Promise<T> {
  const response = await ask(path, options);
  return (await response.json()) as T;
}

/** A value that events change, and the last event that it knows. */
export async function snapshot<T>(path: string): Promise<{ value: T; known: number }> {
  const response = await ask(path);
  return { value: (await response.json()) as T, known: Number(response.headers.get('Last-Event-ID') ?? 0) };
}
