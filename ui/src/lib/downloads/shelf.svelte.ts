/** Which models are being fetched? One list for whoever shows it, kept true by what the server tells. */
import { ask, json, snapshot } from '../api/client';
import { Followed } from '../api/followed';
import type { Download, Downloads } from '../api/types';
import { live } from '../live.svelte';
import { withDownload } from './downloads';

class Shelf {
  downloads: Download[] = $state.raw([]);
  /** Where new ones go. */
  folder = $state('');
  tokenSource: string | null = $state(null);
  /** Whether the list has been asked for. */
  loaded = $state(false);

  // The connection says what is wrong with an answer that fails, and its next success asks again.
  #followed = new Followed<readonly Download[], Download>({
    ask: async () => {
      const { value, known } = await snapshot<Downloads>('/api/downloads');
      [this.folder, this.tokenSource] = [value.folder, value.token_source];
      return { value: value.downloads, known };
    },
    now: () => this.downloads,
    change: withDownload,
    show: (downloads) => {
      this.downloads = [...downloads];
      this.loaded = true;
    },
  });

  /** Keeps the list true until the returned function is called. */
  follow(): () => void {
    return live.follow(['download'], this.#followed);
  }

  take(heard: Download): void {
    this.downloads = withDownload(this.downloads, heard);
  }

  async start(ref: string): Promise<Download> {
    const begun = await json<Download>('/api/downloads', { method: 'POST', body: { ref } });
    this.take(begun);
    return begun;
  }

  async act(download: Download, what: 'pause' | 'resume' | 'remove' | 'discard'): Promise<void> {
    const path = `/api/downloads/${download.id}`;
    const response = await (what === 'remove' || what === 'discard'
      ? ask(what === 'discard' ? `${path}?files=true` : path, { method: 'DELETE' })
      : ask(`${path}/${what}`, { method: 'POST' }));
    this.take((await response.json()) as Download);
  }

  async keepToken(token: string): Promise<void> {
    const kept = await json<{ source: string | null }>('/api/downloads/token', { method: 'PUT', body: { token } });
    this.tokenSource = kept.source;
  }
}

export const shelf = new Shelf();
