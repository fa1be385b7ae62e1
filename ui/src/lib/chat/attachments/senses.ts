/** What of a conversation does a model take in? The rest is not sent: a server refuses the whole question for it. */
import type { Model } from '../../api/types';
import { lacks } from '../../kinds';
import type { Message, Part } from '../conversation';

function lost(part: Part, model: Model): boolean {
  if (part.type === 'image_url') return lacks(model, 'image');
  return part.type === 'input_audio' && lacks(model, 'audio');
}

/** The messages as a model can be sent them: what it does not take is named in words. */
export function understood(messages: readonly Message[], model: Model | undefined): Message[] {
  return messages.map((message) => {
    const left = model ? message.parts.filter((part) => lost(part, model)) : [];
    if (!left.length) return message;
    const notes = left.map(({ type }) => (type === 'image_url' ? '[a picture]' : '[a sound]'));
    const parts = message.parts.filter((part) => !left.includes(part));
    return { ...message, parts, text: [...notes, message.text].filter(Boolean).join('\n') };
  });
}

/** What is left out of a conversation for a model, in words; empty for nothing. */
export function leftOut(messages: readonly Message[], model: Model | undefined): string {
  if (!model) return '';
  const left = messages.flatMap(({ parts }) => parts.filter((part) => lost(part, model)));
  const kinds = new Set(left.map(({ type }) => (type === 'image_url' ? 'see the pictures' : 'hear the sounds')));
  return kinds.size ? `${model.name || model.id} does not ${[...kinds].join(' or ')} of this conversation.` : '';
}
