/** What may help a model that did not start, and how is it written into the configuration? The calls, and their words. */
import { idPath, json } from '../api/client';
import type { Model, Remedies, RemedyText, Written } from '../api/types';

export function remediesOf(id: string, signal?: AbortSignal): Promise<Remedies> {
  return json(`/api/models/${idPath(id)}/remedies`, { signal });
}

/** The configuration with a remedy; nothing is written. */
export function preview(id: string, remedy: string): Promise<RemedyText> {
  return json(`/api/models/${idPath(id)}/remedies`, { method: 'POST', body: { id: remedy } });
}

/** Writes a text in the place of the one that has this hash. */
export function write(yaml: string, hash: string): Promise<Written> {
  return json('/api/config', { method: 'PUT', body: { yaml }, headers: { 'If-Match': `"${hash}"` } });
}

/** Puts back what was there before a text was written, unless somebody has changed that since. */
export async function takeBack(written: Written): Promise<void> {
  if (!written.backup) return;
  const older = await json<{ yaml: string }>(`/api/config/backups/${encodeURIComponent(written.backup)}`);
  await write(older.yaml, written.hash);
}

/** Which start failed: another one may have other remedies. Null for a model whose last start did not fail. */
export function failedStart({ state, failure, error, cmd }: Model): string | null {
  return state === 'stopped' && failure ? `${error}\n${cmd}` : null;
}

/** So many letters of two messages tell that they are about the same start: what follows may say when it was. */
const SAME = 60;

/** Whether an error that was said instead of an answer is the one with which the model's last start failed. */
export function failedSo(model: Model, said: string): boolean {
  const [first] = (model.error ?? '').split('\n', 1);
  return failedStart(model) !== null && Boolean(first) && said.startsWith(first!.slice(0, SAME));
}
