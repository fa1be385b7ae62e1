/** How do conversations and presets leave this browser, and come (back) into one? Pure. */
import { type Thread, list, record, restoredThread } from '../thread';
import { path } from '../tree';
import { type Message, brokenOff } from '../conversation';
import { titleOf } from './history';
import { type Preset, restoredPresets } from './presets';

const FORMAT = 'claracore.chat';

export interface Transfer {
  threads: Thread[];
  presets: Preset[];
}

/** Everything about these, as JSON; `readTransfer` reads it. */
export function asJson({ threads, presets }: Transfer): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, threads, presets }, null, 2)}\n`;
}

/** The branch of a conversation that is looked at, to be read. */
export function asMarkdown(thread: Thread): string {
  const said = path(thread.messages, thread.leaf);
  const parts = [`# ${titleOf(thread)}`];
  if (thread.parameters.system.trim()) parts.push(`**System prompt**\n\n${quoted(thread.parameters.system.trim())}`);
  for (const message of said) {
    const { role, text, reasoning, model, error, parts: attached, files } = message;
    parts.push(`## ${role === 'user' ? 'You' : model || thread.model || 'Answer'}`);
    const names = [
      ...attached.map(({ type }) => (type === 'image_url' ? 'a picture' : 'a sound')),
      ...files.map(({ name }) => name),
    ];
    if (names.length) parts.push(`*With ${names.join(', ')}*`);
    if (reasoning) parts.push(`<details><summary>Reasoning</summary>\n\n${reasoning}\n\n</details>`);
    if (text) parts.push(text);
    if (error) parts.push(quoted(`Error: ${error}`));
    const end = endOf(message);
    if (end) parts.push(`*${end}*`);
  }
  return `${parts.join('\n\n')}\n`;
}

/** Why an answer is no whole one; empty for one that is, and where its error says so. */
function endOf(message: Message): string {
  if (message.role === 'user' || message.error) return '';
  const began = message.text !== '';
  if (message.stopped) return began ? '(stopped here)' : '(stopped before the answer)';
  if (message.cut) return '(cut here: it had reached its length limit)';
  return brokenOff(message) ? (began ? '(not finished)' : '(no answer yet)') : '';
}

function quoted(text: string): string {
  return text.replace(/^/gm, '> ');
}

/**
 * Reads what `asJson` wrote, or a list of conversations, or one. What does not fit is left out; throws an Error with a
 * sentence where nothing fits.
 */
export function readTransfer(json: string): Transfer {
  let found: unknown;
  try {
    found = JSON.parse(json);
  } catch {
    throw new Error('this is no JSON file');
  }
  const { threads, presets } = record(found);
  const rows = Array.isArray(found) ? found : Array.isArray(threads) ? threads : [found];
  const read = {
    threads: rows.flatMap((row) => restoredThread(row) ?? []).filter(({ messages }) => messages.length),
    presets: restoredPresets(list(presets)),
  };
  if (!read.threads.length && !read.presets.length) throw new Error('no conversations are in this file');
  return read;
}

/** A name for a file: letters and digits of a title. */
export function fileName(title: string, ending: string): string {
  const words = title
    .normalize('NFKD')
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return `${words || 'conversation'}.${ending}`;
}
