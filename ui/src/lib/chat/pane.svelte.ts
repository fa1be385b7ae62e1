/** How does one conversation with one model proceed? Sends, streams, stops, regenerates, edits. */
import { ask } from '../api/client';
import { sentence } from '../api/errors';
import { events } from '../api/sse';
import { Answer } from './answer';
import { type Message, type Parameters, emptyAnswer, requestBody, userMessage } from './conversation';

export class Pane {
  model = $state('');
  messages: Message[] = $state([]);
  running = $state(false);
  /** When the answer under way was asked for, in milliseconds. */
  askedAt = $state(0);
  #abort: AbortController | null = null;

  constructor(
    model: string,
    messages: Message[],
    private readonly parameters: () => Parameters,
    private readonly changed: () => void,
  ) {
    this.model = model;
    this.messages = messages;
  }

  async send(text: string, images: string[]): Promise<void> {
    this.messages.push(userMessage(text, images));
    await this.#answer();
  }

  /** Asks again for the answer at `index`; what came after it is gone. */
  async regenerate(index: number): Promise<void> {
    this.stop();
    this.messages = this.messages.slice(0, index);
    await this.#answer();
  }

  /** Replaces the question at `index` and asks again. */
  async edit(index: number, text: string): Promise<void> {
    this.stop();
    const images = this.messages[index]?.images ?? [];
    this.messages = [...this.messages.slice(0, index), userMessage(text, images)];
    await this.#answer();
  }

  stop(): void {
    this.#abort?.abort();
  }

  clear(): void {
    this.stop();
    this.messages = [];
    this.changed();
  }

  async #answer(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.running = true;
    this.askedAt = performance.timeOrigin + performance.now();
    const body = requestBody(this.model, this.messages, this.parameters());
    this.messages.push(emptyAnswer());
    // Read back from the array: only what went through the proxy is reactive.
    const message = this.messages.at(-1)!;
    const answer = new Answer(performance.now());
    try {
      const response = await ask('/v1/chat/completions', { method: 'POST', body, signal: abort.signal });
      await this.#stream(response, answer, message);
    } catch (error) {
      if (abort.signal.aborted) message.stopped = true;
      else message.error = sentence(error);
    } finally {
      message.text = answer.text;
      message.reasoning = answer.reasoning;
      message.figures = answer.figures(performance.now());
      if (this.#abort === abort) this.running = false;
      this.changed();
    }
  }

  async #stream(response: Response, answer: Answer, message: Message): Promise<void> {
    let drawn = 0;
    let frame = 0;
    const draw = () => {
      frame = 0;
      drawn = performance.now();
      message.text = answer.text;
      message.reasoning = answer.reasoning;
    };
    try {
      for await (const { data } of events(response)) {
        if (data === '[DONE]') break;
        answer.take(JSON.parse(data), performance.now());
        // Once a frame, and directly when frames do not come, as in a hidden tab.
        if (performance.now() - drawn > 250) draw();
        else frame ||= requestAnimationFrame(draw);
      }
    } finally {
      cancelAnimationFrame(frame);
    }
  }
}
