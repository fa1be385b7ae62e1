// What is said of conversations that outlive the servers that they were held with?
import type { components } from './api/schema';
import { bytes, count, duration } from './format';

export type ConversationReport = components['schemas']['ConversationReport'];

/** What is kept of a model's conversations, and what it has brought; why nothing is, where nothing is. */
export function keptConversations(found: ConversationReport): string {
  if (found.works === 'no') return found.why ? `none: ${found.why}` : 'none';
  const kept = found.saved ? `${count(found.saved)}, ${bytes(found.saved_bytes)}` : 'none now';
  if (!found.reused_tokens) return kept;
  const saved = found.saved_seconds === null ? '' : ` (${duration(found.saved_seconds)})`;
  return `${kept}; ${count(found.reused_tokens)} tokens not read again${saved}`;
}
