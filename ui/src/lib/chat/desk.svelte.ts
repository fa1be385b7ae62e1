/**
 * What is on the chat's desk? The conversations that are open, what is being written, and the parameters. It outlives
 * the page, so that an answer goes on while the person looks at another one.
 */
import type { Attached } from './attachments/attached';
import type { Parameters } from './conversation';
import { Pane } from './pane.svelte';
import { heardThread, newThread, recallOpened, rememberOpened } from './threads';

class Desk {
  panes: Pane[] = $state.raw([]);
  parameters: Parameters = $state()!;
  draft = $state('');
  attached: Attached[] = $state([]);

  constructor() {
    const { threads, parameters, draft } = recallOpened();
    this.parameters = parameters;
    this.draft = draft;
    this.panes = threads.map((thread) => this.#pane(thread));
    addEventListener('storage', (event) => {
      const theirs = heardThread(event);
      if (theirs) for (const pane of this.panes) pane.take(theirs);
    });
    addEventListener('pagehide', () => {
      this.remember();
      for (const pane of this.panes) pane.leave();
    });
    addEventListener('pageshow', () => {
      for (const pane of this.panes) pane.returned();
    });
  }

  get running(): boolean {
    return this.panes.some((pane) => pane.running);
  }

  remember(): void {
    const threads = this.panes.map((pane) => pane.thread);
    rememberOpened({ threads, parameters: $state.snapshot(this.parameters), draft: this.draft });
  }

  /** Sends what was written to every open conversation. */
  send(text: string, attached: Attached[]): void {
    for (const pane of this.panes) void pane.send(text, $state.snapshot(attached));
  }

  stop(): void {
    for (const pane of this.panes) pane.stop();
  }

  clear(): void {
    for (const pane of this.panes) pane.clear();
  }

  /** Puts a second conversation, with this model, beside the first, or takes it away. */
  compare(model: string): void {
    const [first, second] = this.panes;
    second?.clear();
    this.panes = second ? [first!] : [first!, this.#pane(newThread(model))];
  }

  #pane(thread: ReturnType<typeof newThread>): Pane {
    return new Pane(
      thread,
      () => this.parameters,
      () => this.remember(),
    );
  }
}

export const desk = new Desk();
