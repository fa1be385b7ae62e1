/**
 * What is on the chat's desk? The conversations that are open, and what is being written. It outlives the page, so that
 * an answer goes on while the person looks at another one.
 */
import type { Attached, Parameters } from './conversation';
import { Pane } from './pane.svelte';
import { newThread } from './thread';
import { heardThread, recallOpened, rememberOpened } from './threads';

class Desk {
  panes: Pane[] = $state.raw([]);
  draft = $state('');
  images: string[] = $state([]);

  constructor() {
    const { threads, draft } = recallOpened();
    this.draft = draft;
    this.panes = threads.map((thread) => new Pane(thread));
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

  /** Those of the first conversation; the others have the same. */
  get parameters(): Parameters {
    return this.panes[0]!.parameters;
  }

  remember(): void {
    const threads = this.panes.map((pane) => $state.snapshot(pane.thread));
    rememberOpened({ threads, draft: this.draft });
  }

  /** Says that a person has changed the parameters of what is open. */
  tuned(): void {
    const parameters = $state.snapshot(this.parameters);
    for (const pane of this.panes) {
      if (pane !== this.panes[0]) pane.parameters = { ...parameters };
      pane.tuned();
    }
  }

  /** Sends what was written to every open conversation. */
  send(text: string, attached: Attached): void {
    for (const pane of this.panes) void pane.send(text, attached);
  }

  stop(): void {
    for (const pane of this.panes) pane.stop();
  }

  /** Begins a new conversation with each model that is there; the ones before are kept. */
  begin(): void {
    this.panes = this.panes.map(({ model, parameters, comparison }) => {
      return new Pane(newThread(model, $state.snapshot(parameters), comparison));
    });
  }

  /** Puts a second conversation, with this model, beside the first, or takes it away. */
  compare(model: string): void {
    const [first, second] = this.panes;
    this.panes = second ? [first!] : [first!, new Pane(newThread(model, $state.snapshot(first!.parameters)))];
  }
}

export const desk = new Desk();
