/** What has the model said so far? Chunks of a chat completion stream go in, text, reasoning and figures come out. */
import { isRecord } from '../api/errors';
import type { Figures } from './conversation';

export class StreamError extends Error {}

const OPEN = /^\s*<think>/;

/** Some models write their reasoning into the text between <think> tags; it belongs to the reasoning. */
export function splitThinking(text: string): { reasoning: string; text: string } {
  const open = OPEN.exec(text);
  if (!open) return { reasoning: '', text };
  const inside = text.slice(open[0].length);
  const end = inside.indexOf('</think>');
  if (end < 0) return { reasoning: inside.trimStart(), text: '' };
  return { reasoning: inside.slice(0, end).trim(), text: inside.slice(end + '</think>'.length).trimStart() };
}

export class Answer {
  #said = '';
  #thought = '';
  #firstAt: number | null = null;
  #lastAt: number;
  #chunks = 0;
  #usage: Record<string, unknown> = {};
  #timings: Record<string, unknown> = {};

  /** `startedAt` and all times are in milliseconds. */
  constructor(private readonly startedAt: number) {
    this.#lastAt = startedAt;
  }

  get text(): string {
    return splitThinking(this.#said).text;
  }

  get reasoning(): string {
    return [this.#thought, splitThinking(this.#said).reasoning].filter(Boolean).join('\n\n');
  }

  /** Takes one chunk; throws StreamError when the server reports an error inside the stream. */
  take(chunk: unknown, now: number): void {
    if (!isRecord(chunk)) return;
    if (isRecord(chunk.error))
      throw new StreamError(String(chunk.error.message ?? 'the model server reported an error'));
    if (isRecord(chunk.usage)) this.#usage = chunk.usage;
    if (isRecord(chunk.timings)) this.#timings = chunk.timings;
    const choice: unknown = Array.isArray(chunk.choices) ? chunk.choices[0] : null;
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
      tokens_per_second:
        number(this.#timings.predicted_per_second) ?? (writing > 0 && counted > 0 ? counted / writing : null),
    };
  }
}
