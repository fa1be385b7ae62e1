/** What kind of model is it, in a word and a colour, and what can be done with it? */
import type { Model } from './api/types';

export const KIND_COLOUR: Record<string, string> = {
  chat: 'accent',
  base: '',
  embedding: 'info',
  reranker: 'violet',
  vision: 'ok',
  audio: 'warn',
};

/** Kinds are known only after the file was read: a model without one may still be a chat model. */
export function canChat(model: Model): boolean {
  return model.kind === null || model.kind === 'chat' || model.kind === 'vision' || model.kind === 'base';
}

export function canEmbed(model: Model): boolean {
  return model.kind === null || model.kind === 'embedding';
}

export function canRerank(model: Model): boolean {
  return model.kind === null ? true : model.kind === 'reranker' || model.capabilities.reranker;
}

/** Those whose kind is known come first; the others may be of any. */
export function surest(models: readonly Model[]): Model[] {
  return [...models].sort((a, b) => Number(a.kind === null) - Number(b.kind === null));
}

export function seesImages(model: Model): boolean {
  return model.kind === 'vision' || model.capabilities.in.includes('image');
}

export function badges(model: Model): { text: string; colour: string }[] {
  const found: { text: string; colour: string }[] = [];
  if (model.kind) found.push({ text: model.kind, colour: KIND_COLOUR[model.kind] ?? '' });
  if (model.kind !== 'vision' && seesImages(model)) found.push({ text: 'vision', colour: 'ok' });
  if (model.capabilities.tools) found.push({ text: 'tools', colour: '' });
  if (model.unlisted) found.push({ text: 'unlisted', colour: '' });
  return found;
}
