/** What of attachments leaves with conversations, and where does it go when they come in? */
import { filled } from '../attachments/attached';
import { keepContent } from '../attachments/bulk';
import type { Attached, Part } from '../conversation';
import type { Thread } from '../thread';

/** Copies with the contents of their attachments in them, for a file. */
export function complete(threads: readonly Thread[]): Promise<Thread[]> {
  return Promise.all(threads.map(async (thread) => ({ ...thread, messages: await filled(thread.messages) })));
}

/** Copies that only name the contents, which are kept apart; those of messages that are known are there already. */
export function stowed(threads: readonly Thread[], known: (id: string) => Thread | undefined): Thread[] {
  return threads.map((thread) => {
    const there = new Map(known(thread.id)?.messages.map((message) => [message.id, message]));
    const messages = thread.messages.map((message) => {
      const { parts, files } = there.get(message.id) ?? apart(message);
      return { ...message, parts, files };
    });
    return { ...thread, messages };
  });
}

function apart({ parts, files }: Attached): Attached {
  return {
    parts: parts.map(partApart),
    files: files.map((file) => ({ ...file, text: name(file.text) })),
  };
}

function partApart(part: Part): Part {
  if (part.type === 'image_url') return { ...part, image_url: { url: name(part.image_url.url) } };
  if (part.type !== 'input_audio') return part;
  const { data, format } = part.input_audio;
  const url = data.startsWith('kept:') ? data : `data:audio/${format === 'mp3' ? 'mpeg' : format};base64,${data}`;
  return { ...part, input_audio: { format, data: name(url) } };
}

function name(content: string): string {
  return content.startsWith('kept:') ? content : keepContent(content);
}
