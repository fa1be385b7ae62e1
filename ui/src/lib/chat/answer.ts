/** What has the model said so far? Chunks of a chat completion stream go in, text, reasoning and figures come out. */
import { isRecord } from '../api/errors';
import type { Figures } from './conversation';

export class StreamError extends Error {
  constructor(
    message: string,
    readonly code = '',
  ) {
    super(message);
  }
}

/** The sign of what the server says of a load (`sendLoadingState`). */
const LOADING = 'claracore-loading';

/** Code, finished or not: what stands in it is not said, but shown. */
const CODE = /^ {0,3}(```+|~~~+)[^\n]*\n[\s\S]*?(?:^ {0,3}\1[^\n]*$|$(?![\s\S]))|`[^`\n]+`/gm;
/** A thought from its tag to its end, or, where none follows, to the end of what was said; then it has to begin a line. */
const THOUGHT =
  /<think(?:ing)?>([\s\S]*?)<\/think(?:ing)?>|^[ \t]*<think(?:ing)?>((?:(?!<\/think)[\s\S])*)$(?![\s\S])/gm;
/** Where the template has opened the thought already, the answer has only its end. */
const ONLY_END = /^([\s\S]*?)^[ \t]*<\/think(?:ing)?>[ \t]*$/m;

/** Some models write their reasoning into the text between <think> tags; it belongs to the reasoning, wherever it is. */
export function splitThinking(text: string): { reasoning: string; text: string } {
  if (!text.includes('think')) return { reasoning: '', text };
  // Code is hidden by something of the same length, so that places are the same in both.
  const visible = text.replace(CODE, (code) => '\0'.repeat(code.length));
  const thoughts: string[] = [];
  const said: string[] = [];
  let at = 0;
  const take = (start: number, end: number, from: number, to: number) => {
    said.push(text.slice(at, start));
    thoughts.push(text.slice(from, to).trim());
    at = end;
  };
  for (const found of visible.matchAll(THOUGHT)) {
    const inside = found[1] ?? found[2] ?? '';
    const from = found.index + found[0].indexOf('>') + 1;
    take(found.index, found.index + found[0].length, from, from + inside.length);
  }
  const lone = thoughts.length ? null : ONLY_END.exec(visible);
  if (lone) take(0, lone[0].length, 0, lone[1]!.length);
  if (!thoughts.length) return { reasoning: '', text };
  said.push(text.slice(at));
  return { reasoning: joined(thoughts), text: joined(said) };
}

function joined(parts: string[]): string {
  return parts
    .map((part) => part.trim())
    .filter(Boolean)
    .join('\n\n');
}

export class Answer {
  #said = '';
  #thought = '';
  #firstAt: number | null = null;
  #lastAt: number;
  #chunks = 0;
  #cut = false;
  #usage: Record<string, unknown> = {};
  #timings: Record<string, unknown> = {};

  /** `startedAt` and all times are in milliseconds; `before` is what it said already, when it goes on. */
  constructor(
    private readonly startedAt: number,
    private readonly before: { text: string; reasoning: string } = { text: '', reasoning: '' },
  ) {
    this.#lastAt = startedAt;
  }

  get text(): string {
    return this.before.text + splitThinking(this.#said).text;
  }

  get reasoning(): string {
    return [this.before.reasoning, this.#thought, splitThinking(this.#said).reasoning].filter(Boolean).join('\n\n');
  }

  /** Whether it ended because it had become as long as it may. */
  get cut(): boolean {
    return this.#cut;
  }

  /** Takes one chunk; throws StreamError when the server reports an error inside the stream. */
  take(chunk: unknown, now: number): void {
    if (!isRecord(chunk)) return;
    if (isRecord(chunk.error))
      throw new StreamError(
        String(chunk.error.message ?? 'the model server reported an error'),
        String(chunk.error.code ?? ''),
      );
    // How the load stands is said beside the answer, and is no thought of the model.
    if (chunk.system_fingerprint === LOADING) return;
    if (isRecord(chunk.usage)) this.#usage = chunk.usage;
    if (isRecord(chunk.timings)) this.#timings = chunk.timings;
    const choice: unknown = Array.isArray(chunk.choices) ? chunk.choices[0] : null;
    if (isRecord(choice) && choice.finish_reason) this.#cut = choice.finish_reason === 'length';
    const delta = isRecord(choice) && isRecord(choice.delta) ? choice.delta : {};
    const content = typeof delta.content === 'string' ? delta.content : '';
    const thought = delta.reasoning_content ?? delta.reasoning;
    this.#said += content;
    if (typeof thought === 'string') this.#thought += thought;
    if (content) {
      this.#firstAt ??= now;
      this.#chunks += 1;
    }
    this.#lastAt = now;
  }

  figures(now: number): Figures {
    const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : null);
    const tokens = number(this.#timings.predicted_n) ?? number(this.#usage.completion_tokens);
    const writing = this.#firstAt === null ? 0 : (this.#lastAt - this.#firstAt) / 1000;
    const counted = (tokens ?? this.#chunks) - 1;
    return {
      first_token_seconds: this.#firstAt === null ? null : (this.#firstAt - this.startedAt) / 1000,
      total_seconds: (now - this.startedAt) / 1000,
      prompt_tokens: number(this.#usage.prompt_tokens) ?? number(this.#timings.prompt_n),
      completion_tokens: tokens ?? (this.#chunks || null),
      counted: tokens === null,
      tokens_per_second:
        number(this.#timings.predicted_per_second) ?? (writing > 0 && counted > 0 ? counted / writing : null),
    };
  }
}
