/** How much of a model's context is used, and what if it does not suffice? Pure; sizes in tokens. */
import type { Model } from '../../api/types';
import { count } from '../../format';
import type { Message } from '../conversation';
import { attachmentsOf } from './attached';

/** A number of tokens; "about" unless a tokenizer has counted. */
export interface Count {
  tokens: number;
  exact: boolean;
}

export const NONE: Count = { tokens: 0, exact: true };
/** What templates put around one message. */
const AROUND = 5;
/** Letters of languages that are written with an alphabet: about four are one token. */
const LETTERS_PER_TOKEN = 4;

/** About how many tokens a text has: in scripts with thousands of signs each sign is one. */
export function estimated(text: string): number {
  let wide = 0;
  for (const sign of text) if (sign > '\u2e7f') wide += 1;
  return wide + Math.ceil((text.length - wide) / LETTERS_PER_TOKEN);
}

export function sum(counts: readonly Count[]): Count {
  return {
    tokens: counts.reduce((total, { tokens }) => total + tokens, 0),
    exact: counts.every(({ exact }) => exact),
  };
}

/**
 * What the conversation takes so far: as the last answer's server has counted, and what came after it. `told` has exact
 * counts of texts where there are some.
 */
export function conversationTokens(
  messages: readonly Message[],
  system: string,
  model: string,
  told: (key: string) => number | undefined,
): Count {
  const last = messages.findLastIndex(({ figures }) => figures?.prompt_tokens != null);
  const figures = messages[last]?.figures;
  // Another model's tokens are not the same.
  const exact = messages[last]?.model === model;
  const counted = figures ? (figures.prompt_tokens ?? 0) + (figures.completion_tokens ?? 0) : 0;
  const rest = messages.slice(last + 1).map(messageTokens);
  const begin = figures ? { tokens: counted, exact } : textTokens(system.trim(), told);
  return sum([begin, ...rest]);
}

function messageTokens(message: Message): Count {
  const attached = attachmentsOf(message);
  const tokens = attached.reduce((total, each) => total + each.tokens, estimated(message.text) + AROUND);
  return { tokens, exact: false };
}

/** The tokens of a text: as counted, else about. */
export function textTokens(text: string, told: (key: string) => number | undefined, key = text): Count {
  if (!text) return NONE;
  const known = told(key);
  return known === undefined ? { tokens: estimated(text), exact: false } : { tokens: known, exact: true };
}

/** "about 1,200", "1,234" */
export function inWords({ tokens, exact }: Count): string {
  if (exact) return tokens.toLocaleString('en');
  const step = tokens < 100 ? 1 : 10 ** (Math.floor(Math.log10(tokens)) - 1);
  return `about ${(Math.round(tokens / step) * step).toLocaleString('en')}`;
}

/** "about 1,200 tokens", "1 token" */
export function inTokens(count: Count): string {
  return `${inWords(count)} ${count.tokens === 1 ? 'token' : 'tokens'}`;
}

/** Who has room for all that, the least first: a larger context takes more memory. */
export function roomier(models: readonly Model[], needed: number, not: string): Model[] {
  return models
    .filter(({ id, capabilities }) => id !== not && capabilities.context >= needed)
    .sort((a, b) => a.capabilities.context - b.capabilities.context)
    .slice(0, 2);
}

/** The sentences for what is too long, before it is sent. */
export function tooLong(over: Count, name: string, context: number): string {
  const then = over.exact ? 'It would be refused.' : 'It may be refused.';
  return `Too long by ${inWords(over)} tokens: ${name} takes ${count(context)}. ${then}`;
}

/** What a person can do about it. */
export function waysOut(larger: boolean, begun: boolean): string {
  const others = [larger && 'choose a model with more context', begun && 'begin a new conversation'].filter(Boolean);
  return others.length
    ? `Shorten it, ${others.length > 1 ? `${others[0]}, or ${others[1]}` : `or ${others[0]}`}.`
    : 'Shorten it.';
}

/** By which the prompt of a first message is remembered. */
export function promptKey(system: string, text: string, attached: readonly { at: string }[]): string {
  return ['prompt', system.trim(), text.trim(), ...attached.map(({ at }) => at)].join('\0');
}

/** What stands before a first message, when all of it was counted: the system prompt, and what the template has. */
export function beforeFirst(prompt: number, words: Count): Count {
  return { tokens: Math.max(0, prompt - words.tokens), exact: words.exact };
}
