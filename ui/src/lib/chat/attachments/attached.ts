/**
 * What is attached, and how does it get into messages and out of them? While it is written, one list. A message has
 * pictures and sounds as parts and texts as files; where the content belongs stands its name (`bulk.ts`), so that what is
 * kept of a conversation is small.
 */
import type { Attached, AttachedFile, Message, Part } from '../conversation';
import { contentOf } from './bulk';

export interface Attachment {
  kind: 'image' | 'sound' | 'text';
  name: string;
  /** The name of its content, or the content: of pictures and sounds a `data:` URL, of texts the text. */
  at: string;
  /** About how many tokens it will be. */
  tokens: number;
}

/** What models' servers call the format of a sound; only these two are sent. */
const MP3 = /^data:audio\/(mpeg|mp3)/;
/** Of a picture or a sound of which nothing more is known. */
const SOME_TOKENS = 500;

/** What a message carries of what was attached to it. */
export function carried(attachments: readonly Attachment[]): Attached {
  const parts = attachments.flatMap(({ kind, at }): Part[] => {
    if (kind === 'image') return [{ type: 'image_url', image_url: { url: at } }];
    return kind === 'sound' ? [{ type: 'input_audio', input_audio: { data: at, format: 'wav' } }] : [];
  });
  const texts = attachments.filter(({ kind }) => kind === 'text');
  const files = texts.map(({ name, at, tokens }): AttachedFile => ({ name, kind: 'text', text: at, tokens }));
  return { parts, files };
}

/** The same as a list, to be shown. */
export function attachmentsOf({ parts, files }: Attached): Attachment[] {
  const seen = parts.flatMap((part): Attachment[] => {
    if (part.type === 'image_url')
      return [{ kind: 'image', name: 'Picture', at: part.image_url.url, tokens: SOME_TOKENS }];
    return part.type === 'input_audio' ? [{ kind: 'sound', name: 'Sound', at: heard(part), tokens: SOME_TOKENS }] : [];
  });
  return [
    ...seen,
    ...files.map(({ name, text, tokens }) => ({ kind: 'text' as const, name, at: text, tokens: tokens ?? 0 })),
  ];
}

function heard({ input_audio: { data, format } }: Extract<Part, { type: 'input_audio' }>): string {
  if (data.startsWith('kept:')) return data;
  return `data:audio/${format === 'mp3' ? 'mpeg' : format};base64,${data}`;
}

/** Copies of messages with the contents themselves in them, to be sent or taken along; what is gone is said. */
export function filled<M extends Attached & Pick<Message, 'text'>>(messages: readonly M[]): Promise<M[]> {
  return Promise.all(messages.map(filledMessage));
}

async function filledMessage<M extends Attached & Pick<Message, 'text'>>(message: M): Promise<M> {
  if (!message.parts.length && !message.files.length) return message;
  const parts = await Promise.all(message.parts.map(filledPart));
  const files = await Promise.all(
    message.files.map(async (file) => ({ ...file, text: (await contentOf(file.text)) ?? '(it is no longer there)' })),
  );
  const gone = parts.filter((part) => part === null).length;
  const note = gone ? `(${gone === 1 ? 'an attachment is' : `${gone} attachments are`} no longer there)` : '';
  const text = [note, message.text].filter(Boolean).join('\n\n');
  return { ...message, text, files, parts: parts.filter((part) => part !== null) };
}

async function filledPart(part: Part): Promise<Part | null> {
  if (part.type === 'image_url') {
    const url = await contentOf(part.image_url.url);
    return url === null ? null : { ...part, image_url: { url } };
  }
  if (part.type !== 'input_audio' || !part.input_audio.data.startsWith('kept:')) return part;
  const url = await contentOf(part.input_audio.data);
  if (url === null) return null;
  const data = url.slice(url.indexOf(',') + 1);
  return { ...part, input_audio: { data, format: MP3.test(url) ? 'mp3' : 'wav' } };
}
