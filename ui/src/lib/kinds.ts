/** What kind of model is it, in a word and a colour, and what can be done with it? */
import type { Model } from './api/types';

export const KIND_COLOUR: Record<string, string> = {
  chat: 'accent',
  base: '',
  embedding: 'info',
  reranker: 'violet',
  vision: 'ok',
  audio: 'warn',
  image: 'warn',
};

/**
 * Kinds are known only after the file was read: a model without one may still be a chat model. Whether one that hears
 * is, or only writes down what it hears, is seen by what goes in.
 */
export function canChat(model: Model): boolean {
  const { in: takes, out: gives } = model.capabilities;
  if (gives.length && !gives.includes('text')) return false;
  if (model.kind === 'audio') return takes.includes('text');
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

export function hears(model: Model): boolean {
  return model.capabilities.in.includes('audio');
}

/** Whether a model is known not to take something in; of one that says nothing of itself it is not known. */
export function lacks(model: Model, sense: 'image' | 'audio'): boolean {
  const takes = model.capabilities.in;
  return takes.length > 0 && !takes.includes(sense);
}

/** Models that write down what is said: those made for that first, then chat models that hear, loaded ones before. */
export function transcribers(models: readonly Model[]): Model[] {
  const able = models.filter((model) => hears(model) && model.capabilities.out.includes('text'));
  return loadedFirst(able).sort((a, b) => Number(canChat(a)) - Number(canChat(b)));
}

/** Models that read aloud, loaded ones first. */
export function speakers(models: readonly Model[]): Model[] {
  return loadedFirst(models.filter(({ capabilities }) => gives(capabilities, 'audio')));
}

/** Models that paint, loaded ones first. */
export function painters(models: readonly Model[]): Model[] {
  return loadedFirst(models.filter(({ capabilities }) => gives(capabilities, 'image')));
}

function gives({ in: takes, out }: Model['capabilities'], what: string): boolean {
  return out.includes(what) && (takes.includes('text') || !takes.length);
}

function loadedFirst(models: readonly Model[]): Model[] {
  return [...models].sort((a, b) => Number(b.state === 'ready') - Number(a.state === 'ready'));
}

export function badges(model: Model): { text: string; colour: string }[] {
  const found: { text: string; colour: string }[] = [];
  if (model.kind) found.push({ text: model.kind, colour: KIND_COLOUR[model.kind] ?? '' });
  const sees = seesImages(model) && model.kind !== 'vision' && model.kind !== 'image';
  if (sees) found.push({ text: 'vision', colour: 'ok' });
  if (model.capabilities.tools) found.push({ text: 'tools', colour: '' });
  if (model.unlisted) found.push({ text: 'unlisted', colour: '' });
  return found;
}
