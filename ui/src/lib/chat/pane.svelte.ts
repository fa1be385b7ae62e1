/** How does one conversation with one model proceed? Sends, streams, stops, regenerates, edits. */
import { ask } from '../api/client';
import { sentence } from '../api/errors';
import { events } from '../api/sse';
import { Answer } from './answer';
import { type Attached, contentsOf } from './attachments/attached';
import { explainedLength } from './attachments/too_long';
import { type Message, type Parameters, emptyAnswer, newId, requestBody, userMessage } from './conversation';
import { type Thread, forgetThread, keepThread, merged } from './threads';

/** How often a growing answer is kept, in milliseconds. */
const KEPT_EVERY = 1000;

export class Pane {
  model = $state('');
  messages: Message[] = $state([]);
  running = $state(false);
  /** When the answer under way was asked for, in milliseconds. */
  askedAt = $state(0);
  #id: string;
  #removed: string[];
  #abort: AbortController | null = null;
  #keptAt = 0;
  #left = false;

  constructor(
    { id, model, messages, removed }: Thread,
    private readonly parameters: () => Parameters,
    private readonly renamed: () => void,
  ) {
    this.#id = id;
    this.model = model;
    this.messages = messages;
    this.#removed = removed;
  }

  get thread(): Thread {
    return { id: this.#id, model: this.model, messages: this.messages, removed: this.#removed };
  }

  /** Takes what another tab has written to this conversation. */
  take(theirs: Thread): void {
    if (theirs.id !== this.#id) return;
    const whole = merged(this.thread, theirs);
    this.messages = whole.messages;
    this.#removed = whole.removed;
  }

  keep(): void {
    if (this.#left) return;
    this.#keptAt = performance.now();
    keepThread($state.snapshot(this.thread) as Thread);
  }

  async send(text: string, attached: Attached[]): Promise<void> {
    this.messages.push(userMessage(text, attached));
    await this.#answer();
  }

  /** Asks again for the answer at `index`; what came after it is gone. */
  async regenerate(index: number): Promise<void> {
    this.stop();
    this.#cut(index);
    await this.#answer();
  }

  /** Replaces the question at `index` and asks again. */
  async edit(index: number, text: string): Promise<void> {
    this.stop();
    const attached = this.messages[index]?.attached ?? [];
    this.#cut(index);
    this.messages.push(userMessage(text, attached));
    await this.#answer();
  }

  stop(): void {
    this.#abort?.abort();
  }

  /** Begins a new conversation; the one before is gone. */
  clear(): void {
    this.stop();
    forgetThread(this.#id);
    this.#id = newId();
    this.messages = [];
    this.#removed = [];
    this.renamed();
  }

  /** Keeps what there is when the browser leaves; that it then cuts the answer off is no failure of the server. */
  leave(): void {
    if (this.running) this.keep();
    this.#left = true;
  }

  /** The browser is back at a page that it only set aside. */
  returned(): void {
    this.#left = false;
  }

  #cut(index: number): void {
    this.#removed = [...this.#removed, ...this.messages.slice(index).map(({ id }) => id)];
    this.messages = this.messages.slice(0, index);
  }

  async #answer(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.running = true;
    this.askedAt = performance.timeOrigin + performance.now();
    const [model, parameters, before] = [this.model, this.parameters(), this.messages.slice()];
    this.messages.push(emptyAnswer());
    // Read back from the array: only what went through the proxy is reactive.
    const message = this.messages.at(-1)!;
    const answer = new Answer(performance.now());
    this.keep();
    try {
      const body = requestBody(model, before, parameters, await contentsOf(before));
      const response = await ask('/v1/chat/completions', { method: 'POST', body, signal: abort.signal });
      await this.#stream(response, answer, message);
    } catch (error) {
      if (abort.signal.aborted) message.stopped = true;
      else message.error = explainedLength(error, model) ?? sentence(error);
    } finally {
      message.text = answer.text;
      message.reasoning = answer.reasoning;
      message.figures = answer.figures(performance.now());
      if (this.#abort === abort) this.running = false;
      this.keep();
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
      if (drawn - this.#keptAt > KEPT_EVERY) this.keep();
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
