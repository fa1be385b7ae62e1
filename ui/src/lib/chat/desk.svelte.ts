/**
 * What is on the chat's desk? The conversations that are open, and what is being written. It outlives the page, so that
 * an answer goes on while the person looks at another one.
 */
import { notices } from '../notices.svelte';
import { type Attachment, carried } from './attachments/attached';
import { namesIn, sweep } from './attachments/bulk';
import { recallAttached, rememberAttached } from './attachments/draft';
import { type Parameters, newId } from './conversation';
import { shelf } from './history/shelf.svelte';
import { OtherTabs } from './other_tabs.svelte';
import { Pane } from './pane.svelte';
import { type Thread, newThread } from './thread';
import { MOST_PANES, heardChange, recallOpened, rememberOpened } from './threads';

class Desk {
  panes: Pane[] = $state.raw([]);
  draft = $state('');
  attached: Attachment[] = $state(recallAttached());
  /** Those that are not open any more; their answers go on. */
  #behind: Pane[] = $state.raw([]);
  #toldOfRoom = false;
  readonly otherTabs = new OtherTabs(new BroadcastChannel('claracore.chat'), newId());

  constructor() {
    const { threads, draft } = recallOpened();
    this.draft = draft;
    this.panes = threads.map((thread) => this.#pane(thread));
    void sweep(namesIn([...Object.values(localStorage), ...Object.values(sessionStorage)] as string[]));
    addEventListener('storage', (event) => {
      const heard = heardChange(event);
      if (heard) this.#heard(heard.id, heard.value);
    });
    addEventListener('pagehide', () => {
      this.remember();
      for (const pane of this.#all) pane.leave();
      this.otherTabs.tell([]);
    });
    addEventListener('pageshow', () => {
      for (const pane of this.#all) pane.returned();
      this.otherTabs.tell(this.#writing);
    });
    $effect.root(() => {
      $effect(() => this.otherTabs.tell(this.#writing));
    });
  }

  get running(): boolean {
    return this.panes.some((pane) => pane.running);
  }

  /** Those of the first conversation; the others have the same. */
  get parameters(): Parameters {
    return this.panes[0]!.parameters;
  }

  get #all(): Pane[] {
    return [...this.panes, ...this.#behind];
  }

  /** The answers that are being written here. */
  get #writing(): string[] {
    return this.#all.flatMap(({ writing }) => writing ?? []);
  }

  /** Whether a conversation is open. */
  has(id: string): boolean {
    return this.panes.some((pane) => pane.id === id);
  }

  /** Whether an answer is being written in a conversation, open or not. */
  writes(id: string): boolean {
    return this.#all.some((pane) => pane.id === id && pane.running);
  }

  remember(): void {
    rememberAttached(this.attached);
    const threads = this.panes.map((pane) => pane.snapshot());
    rememberOpened({ threads, draft: this.draft });
  }

  /** Takes parameters for everything that is open; they are kept when `settle` is called. */
  tune(parameters: Parameters): void {
    for (const pane of this.panes) pane.tune({ ...parameters });
  }

  settle(): void {
    for (const pane of this.panes) pane.settle();
  }

  /** Sends what was written to every open conversation. */
  send(text: string, attached: readonly Attachment[]): void {
    for (const pane of this.panes) void pane.send(text, carried(attached));
  }

  stop(): void {
    for (const pane of this.panes) pane.stop();
  }

  /** Opens conversations that are kept, beside one another. */
  open(threads: readonly Thread[]): void {
    this.#show(threads.slice(0, MOST_PANES).map((thread) => this.#pane(thread)));
  }

  /** Begins a new conversation with each model that is there; the ones before are kept. */
  begin(): void {
    const comparison = this.panes.length > 1 ? newId() : '';
    this.#show(this.panes.map((pane) => this.#fresh(pane, comparison)));
  }

  /** Puts a conversation with another model beside the others. It begins with what the first one shows. */
  add(model: string): void {
    const first = this.panes[0]!;
    const comparison = first.comparison || newId();
    const thread = newThread(model, $state.snapshot(first.parameters), comparison);
    const messages = $state.snapshot(first.shown).filter(({ id }) => id !== first.writing);
    const pane = this.#pane({ ...thread, messages, leaf: messages.at(-1)?.id ?? null } as Thread);
    pane.keep();
    this.#show([...this.panes, pane]);
    for (const each of this.panes) this.#belong(each, comparison);
  }

  /** Puts a conversation away; it is kept as one by itself, if anything was said in it that the others do not have. */
  close(pane: Pane): void {
    this.#show(this.panes.filter((each) => each !== pane));
    const known = new Set(this.panes.flatMap(({ messages }) => messages.map(({ id }) => id)));
    if (pane.messages.every(({ id }) => known.has(id))) this.remove([pane.snapshot()]);
    else this.#belong(pane, '');
    if (this.panes.length === 1) this.#belong(this.panes[0]!, '');
  }

  /** Deletes conversations, and takes what was open of them away. Returns how to undo that. */
  remove(threads: readonly Thread[]): () => void {
    const ids = new Set(threads.map(({ id }) => id));
    const ours = this.#all.filter((pane) => ids.has(pane.id));
    const open = this.panes.some((pane) => ids.has(pane.id));
    const last = threads.map((thread) => ours.find((pane) => pane.id === thread.id)?.snapshot() ?? thread);
    for (const pane of ours) pane.discard();
    this.#behind = this.#behind.filter((pane) => !ids.has(pane.id));
    if (open) this.panes = [this.#fresh(this.panes[0]!, '')];
    shelf.remove(last);
    return () => {
      if (shelf.take(last) && open && !this.panes.some((pane) => pane.messages.length)) this.open(last);
    };
  }

  rename(threads: readonly Thread[], title: string): void {
    for (const thread of threads) {
      const pane = this.#all.find(({ id }) => id === thread.id);
      if (pane) pane.rename(title);
      else shelf.take([{ ...thread, title, titledAt: Date.now() }]);
    }
  }

  #belong(pane: Pane, comparison: string): void {
    if (pane.comparison === comparison) return;
    pane.comparison = comparison;
    if (pane.messages.length) pane.keep();
  }

  #show(panes: Pane[]): void {
    this.#behind = this.#all.filter((pane) => pane.running && !panes.includes(pane));
    this.panes = panes;
    this.remember();
  }

  #heard(id: string, theirs: Thread | null): void {
    for (const pane of this.#all) {
      if (theirs) pane.take(theirs);
      // Deleted in another tab; what is being written here is kept.
      else if (pane.id === id && !pane.running)
        this.panes = this.panes.map((each) => (each === pane ? this.#fresh(each, each.comparison) : each));
    }
  }

  #fresh({ model, parameters }: Pane, comparison: string): Pane {
    return this.#pane(newThread(model, $state.snapshot(parameters), comparison));
  }

  #pane(thread: Thread): Pane {
    return this.#all.find((pane) => pane.id === thread.id) ?? new Pane(thread, () => this.#tellOfRoom());
  }

  #tellOfRoom(): void {
    if (this.#toldOfRoom) return;
    this.#toldOfRoom = true;
    notices.say(
      'This browser has no more room for conversations: export and delete some. New words are not kept.',
      'bad',
    );
  }
}

export const desk = new Desk();
