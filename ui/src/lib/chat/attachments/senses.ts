/**
 * What of a conversation does a model not take in? A server without a projector refuses the whole conversation for one
 * picture in it: what the model does not take is left out, and said in its place. Pure.
 */
import type { Model } from '../../api/types';
import { lacks } from '../../kinds';
import type { Attached, Message, Part } from '../conversation';

export type Sense = 'image' | 'audio';

const INSTEAD: Record<Sense, string> = {
  image: '[a picture, which you cannot see]',
  audio: '[a sound, which you cannot hear]',
};

export function senseOf(part: Part): Sense | null {
  if (part.type === 'image_url') return 'image';
  return part.type === 'input_audio' ? 'audio' : null;
}

/** Whether there is something in these messages for that sense. */
export function speaksTo(messages: readonly Attached[], sense: Sense): boolean {
  return messages.some(({ parts }) => parts.some((part) => senseOf(part) === sense));
}

/** The messages as a model takes them; of a model that says nothing of itself all is sent. */
export function perceived<M extends Attached & Pick<Message, 'text'>>(
  messages: readonly M[],
  model: Model | undefined,
): M[] {
  const missed = (part: Part) => {
    const sense = senseOf(part);
    return model && sense && lacks(model, sense) ? sense : null;
  };
  return messages.map((message) => {
    const words = message.parts.flatMap((part) => INSTEAD[missed(part)!] ?? []);
    if (!words.length) return message;
    const parts = message.parts.filter((part) => !missed(part));
    return { ...message, parts, text: [...words, message.text].filter(Boolean).join('\n\n') };
  });
}
