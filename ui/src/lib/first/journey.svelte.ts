/** Which model is on its way to the first chat? Known to the tab, so that a reload finds its place again. */
import { loadModel, unloadModel } from '../actions';
import { sentence } from '../api/errors';
import type { Download } from '../api/types';
import { shelf } from '../downloads/shelf.svelte';
import { live } from '../live.svelte';
import { navigation } from '../navigation.svelte';
import { notices } from '../notices.svelte';
import { hrefOf } from '../router';
import { type Trouble, troubleOf } from './trouble';

const KEPT = 'claracore.first';

class Journey {
  /** Id of the download that was begun. */
  begun: string | null = $state(sessionStorage.getItem(KEPT));
  /** What was asked for last, while it is asked for or since that has failed. */
  wanted = $state('');
  starting = $state(false);
  trouble: Trouble | null = $state.raw(null);
  /** Why the model could not be loaded. */
  failure = $state('');
  #loading = '';
  #waiting: AbortController | null = null;

  async begin(ref: string): Promise<void> {
    [this.wanted, this.starting, this.trouble, this.failure] = [ref, true, null, ''];
    try {
      this.follow((await shelf.start(ref)).id);
      this.wanted = '';
    } catch (reason) {
      this.trouble = troubleOf(reason);
    } finally {
      this.starting = false;
    }
  }

  follow(id: string): void {
    this.begun = id;
    sessionStorage.setItem(KEPT, id);
  }

  /** Loads the model, and opens the chat with it when it is ready; who looks at something else meanwhile is told. */
  async load(model: string): Promise<void> {
    if (this.#loading === model) return;
    [this.#loading, this.failure] = [model, ''];
    const { begun } = this;
    this.#waiting = new AbortController();
    try {
      await loadModel(model, this.#waiting.signal);
      if (this.begun !== begun || begun === null) return;
      this.end();
      this.#arrived(model);
    } catch (reason) {
      if (this.begun === begun && begun !== null) this.failure = sentence(reason);
    } finally {
      this.#loading = '';
    }
  }

  #arrived(model: string): void {
    const chat = () => navigation.enter(hrefOf('chat', '', { model }));
    if (navigation.place.page === 'setup') return chat();
    notices.say(`${live.model(model)?.name || model} is ready`, 'ok', { label: 'Say hello', run: chat });
  }

  async cancel(download: Download): Promise<void> {
    const [model] = download.models;
    this.#waiting?.abort();
    this.end();
    try {
      if (download.status !== 'finished') await shelf.act(download, 'remove');
      else if (model) await unloadModel(model);
    } catch (reason) {
      this.trouble = troubleOf(reason);
    }
  }

  /** Deletes the files of one that is of no use. */
  async discard(download: Download): Promise<void> {
    try {
      await shelf.act(download, 'discard');
      this.end();
    } catch (reason) {
      this.trouble = troubleOf(reason);
    }
  }

  end(): void {
    [this.begun, this.failure, this.trouble, this.wanted] = [null, '', null, ''];
    sessionStorage.removeItem(KEPT);
  }
}

export const journey = new Journey();
