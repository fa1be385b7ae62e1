/** What does an engine mean when it refuses a prompt for its length? The same in every engine's words: a sentence. */
import { ApiError } from '../../api/errors';
import { count } from '../../format';

/** llama-server, with numbers beside its sentence; vLLM, OpenAI and others, with numbers in it. */
const LLAMA = /exceeds? the available context size|context size has been exceeded|exceed_context_size/i;
const OTHERS = /maximum context length (?:is|of) ([\d,]+)/i;
const PROMPT = /(?:resulted in|requested|prompt (?:contains|has|is)(?: at least)?|input has) ([\d,]+)/i;

/** Explains an error that says that a prompt is too long for `model`; null for any other. */
export function explainedLength(error: unknown, model: string): string | null {
  if (!(error instanceof ApiError)) return null;
  const said = `${error.message} ${error.code} ${text(error.details.type)}`;
  const others = OTHERS.exec(said);
  if (!LLAMA.test(said) && !others && error.code !== 'context_length_exceeded') return null;
  const takes = number(error.details.n_ctx) ?? written(others?.[1]) ?? written(/\((\d+) tokens\)/.exec(said)?.[1]);
  const has = number(error.details.n_prompt_tokens) ?? written(PROMPT.exec(said)?.[1]);
  const numbers =
    has !== null && takes !== null ? `it has ${count(has)} tokens, and ${model} takes ${count(takes)}` : '';
  const begin = numbers ? `The conversation is too long: ${numbers}.` : `The conversation is too long for ${model}.`;
  return `${begin} Shorten it, choose a model with more context, or begin a new conversation.`;
}

function number(found: unknown): number | null {
  return typeof found === 'number' && Number.isFinite(found) ? found : null;
}

function written(digits: string | undefined): number | null {
  return digits ? Number(digits.replaceAll(',', '')) : null;
}

function text(found: unknown): string {
  return typeof found === 'string' ? found : '';
}
