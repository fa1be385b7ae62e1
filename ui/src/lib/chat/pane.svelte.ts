/** How does one conversation with one model proceed? Sends, streams, stops, goes on, makes again, edits. */
import { ask } from '../api/client';
import { isRecord, sentence } from '../api/errors';
import { events } from '../api/sse';
import { live } from '../live.svelte';
import { triedAgain } from './again';
import { Answer } from './answer';
import { filled } from './attachments/attached';
import { perceived } from './attachments/senses';
import { explainedLength } from './attachments/too_long';
import {
  type Attached,
  type Figures,
  type Message,
  type Parameters,
  emptyAnswer,
  requestBody,
  userMessage,
} from './conversation';
import { type Thread, merged } from './thread';
import { keepThread } from './threads';
import { path, tip, versions } from './tree';

/** How often a growing answer is kept, in milliseconds. */
const KEPT_EVERY = 1000;

export class Pane {
  readonly id: string;
  comparison = '';
  model = $state('');
  parameters: Parameters = $state()!;
  title = $state('');
  /** All versions of all messages. */
  messages: Message[] = $state([]);
  leaf: string | null = $state(null);
  /** The answer that is being written. */
  writing: string | null = $state(null);
  /** How far that is; null before its first word. */
  soFar: Figures | null = $state.raw(null);
  /** When the answer under way was asked for, in milliseconds. */
  askedAt = $state(0);
  /** The messages of the branch that is looked at. */
  readonly shown: Message[] = $derived(path(this.messages, this.leaf));
  #titledAt: number;
  #tunedAt: number;
  #abort: AbortController | null = null;
  #keptAt = 0;
  /** Whether nothing is kept any more: the browser leaves, or the conversation was deleted. */
  #left = false;
  #unkept = false;

  /** `full` is called when the browser has no more room for conversations. */
  constructor(
    thread: Thread,
    private readonly full: () => void,
  ) {
    this.id = thread.id;
    this.comparison = thread.comparison;
    this.model = thread.model;
    this.parameters = thread.parameters;
    this.title = thread.title;
    this.messages = thread.messages;
    this.leaf = thread.leaf;
    this.#titledAt = thread.titledAt;
    this.#tunedAt = thread.tunedAt;
  }

  get running(): boolean {
    return this.writing !== null;
  }

  get thread(): Thread {
    const { id, model, messages, leaf, title, parameters, comparison } = this;
    return {
      id,
      model,
      messages,
      leaf,
      title,
      titledAt: this.#titledAt,
      parameters,
      tunedAt: this.#tunedAt,
      comparison,
    };
  }

  /** Takes what another tab has written to this conversation. */
  take(theirs: Thread): void {
    if (theirs.id !== this.id) return;
    const whole = merged(this.thread, theirs);
    this.messages = whole.messages;
    this.leaf = whole.leaf;
    this.comparison = theirs.comparison;
    this.title = whole.title;
    this.#titledAt = whole.titledAt;
    if (whole.tunedAt > this.#tunedAt) this.parameters = whole.parameters;
    this.#tunedAt = whole.tunedAt;
  }

  keep(): void {
    if (this.#left) return;
    this.#keptAt = performance.now();
    this.#unkept = false;
    if (!keepThread(this.snapshot())) this.full();
  }

  /** What there is now, for good. */
  snapshot(): Thread {
    return $state.snapshot(this.thread) as Thread;
  }

  /** Takes parameters that a person has set; they are kept with the next `keep`. */
  tune(parameters: Parameters): void {
    this.parameters = parameters;
    this.#tunedAt = Date.now();
    this.#unkept = this.messages.length > 0;
  }

  /** Keeps what was changed and is not yet kept. */
  settle(): void {
    if (this.#unkept) this.keep();
  }

  rename(title: string): void {
    this.title = title;
    this.#titledAt = Date.now();
    this.keep();
  }

  async send(text: string, attached: Attached): Promise<void> {
    const question = userMessage(text, attached, this.leaf);
    this.messages.push(question);
    this.leaf = question.id;
    await this.#answer(emptyAnswer(question.id, this.model));
  }

  /** Asks once more for an answer; the one that there is stays as another version. */
  async regenerate({ parent }: Message): Promise<void> {
    this.stop();
    await this.#answer(emptyAnswer(parent, this.model));
  }

  /** Asks another question in the place of one, which stays as another version. */
  async edit({ parent, parts, files }: Message, text: string): Promise<void> {
    this.stop();
    this.leaf = parent;
    await this.send(text, $state.snapshot({ parts, files }) as Attached);
  }

  /** Goes on with an answer that was stopped or had become too long. */
  async goOn({ id, parent, text, reasoning }: Message): Promise<void> {
    await this.#answer({ ...emptyAnswer(parent, this.model), text, reasoning, continues: id });
  }

  /** The versions of a message to choose from. */
  versions(message: Message): Message[] {
    return versions(this.messages, message);
  }

  /** Looks at another version, and at what came after it. */
  choose(id: string): void {
    this.leaf = tip(this.messages, id);
    if (!this.running) this.keep();
  }

  stop(): void {
    this.#abort?.abort();
  }

  /** Keeps what there is when the browser leaves; that it then cuts the answer off is no failure of the server. */
  leave(): void {
    if (this.running || this.#unkept) this.keep();
    this.#left = true;
  }

  /** Ends a conversation that was deleted. */
  discard(): void {
    this.#left = true;
    this.stop();
  }

  /** The browser is back at a page that it only set aside. */
  returned(): void {
    this.#left = false;
  }

  /** Lets the model write `begun`, which stands behind the question or behind what it said before. */
  async #answer(begun: Message): Promise<void> {
    const abort = new AbortController();
    const asked = path(this.messages, begun.parent);
    this.#abort = abort;
    this.writing = begun.id;
    this.soFar = null;
    this.askedAt = performance.timeOrigin + performance.now();
    const [model, parameters, said] = [this.model, this.parameters, begun.text ? [...asked, begun] : asked];
    this.messages.push(begun);
    this.leaf = begun.id;
    // Read back from the array: only what went through the proxy is reactive.
    const message = this.messages.at(-1)!;
    const answer = new Answer(performance.now(), begun);
    this.keep();
    try {
      const body = requestBody(model, await filled(perceived(said, live.model(model))), parameters);
      await triedAgain(model, abort.signal);
      const response = await ask('/v1/chat/completions', { method: 'POST', body, signal: abort.signal });
      await this.#stream(response, answer, message);
      message.cut = answer.cut;
    } catch (error) {
      if (abort.signal.aborted) message.stopped = true;
      else {
        // Why it did not start is known before it is spoken of: it is shown as that, and not first as a raw sentence.
        if (isRecord(error) && error.code === 'model_failed') await live.refresh();
        message.error = explainedLength(error, model) ?? sentence(error);
      }
    } finally {
      message.text = answer.text;
      message.reasoning = answer.reasoning;
      message.figures = answer.figures(performance.now());
      if (this.#abort === abort) this.writing = null;
      // No event tells of it.
      if (live.limited) void live.refresh();
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
      this.soFar = answer.figures(drawn);
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
