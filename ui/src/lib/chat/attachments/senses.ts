/** What of a conversation does a model not take in? That is left out of what it is asked, and said. Pure. */
import type { Model } from '../../api/types';
import { plural } from '../../format';
import { lacks } from '../../kinds';
import type { Attached, Part } from '../conversation';

type Sense = 'image' | 'audio';
const OF: Record<Part['type'], Sense | null> = { text: null, image_url: 'image', input_audio: 'audio' };
const WORDS: Record<Sense, string> = {
  image: '[a picture that you cannot see]',
  audio: '[a sound that you cannot hear]',
};

const beyond = (model: Model | undefined, part: Part) => {
  const sense = OF[part.type];
  return sense !== null && model !== undefined && lacks(model, sense) ? sense : null;
};

/** Messages as a model can take them: in the place of each part that it cannot stands that there is one. */
export function within<M extends Attached & { text: string }>(messages: readonly M[], model: Model | undefined): M[] {
  return messages.map((message) => {
    const words = message.parts.flatMap((part) => beyond(model, part) ?? []).map((sense) => WORDS[sense]);
    if (!words.length) return message;
    const parts = message.parts.filter((part) => beyond(model, part) === null);
    return { ...message, parts, text: [...words, message.text].filter(Boolean).join('\n') };
  });
}

/** How many parts of one kind a model is not given. */
export function leftOut(messages: readonly Attached[], model: Model | undefined, sense: Sense): number {
  return messages.flatMap(({ parts }) => parts).filter((part) => beyond(model, part) === sense).length;
}

/** "the picture of this conversation is left out" */
export function leftOutWords(much: number, sense: Sense): string {
  const what = sense === 'image' ? 'picture' : 'sound';
  return much === 1
    ? `The ${what} of this conversation is left out of what it is asked.`
    : `The ${plural(much, what)} of this conversation are left out of what it is asked.`;
}
