/** What does a form show of a configuration text, and how does it change that text? The server knows; nothing is saved. */
import { json } from '$lib/api/client';
import type { ConfigForms } from '$lib/api/types';

/** An empty value takes the option out. */
export interface FormChange {
  ttl?: string;
  context?: string;
  group?: string;
}

/** Throws ApiError while the text cannot be read. */
export function formsOf(yaml: string): Promise<ConfigForms> {
  return json<ConfigForms>('/api/config/form', { method: 'POST', body: { yaml } });
}

/** Throws ApiError also for what is written in a way that a form cannot change. */
export function changedText(yaml: string, model: string, change: FormChange): Promise<ConfigForms> {
  return json<ConfigForms>('/api/config/form', { method: 'POST', body: { yaml, model, ...change } });
}
