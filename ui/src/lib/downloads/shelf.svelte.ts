/** Which models are being fetched? One list for whoever shows it, kept true by what the server tells. */
import { ask, json } from '../api/client';
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

  /** Keeps the list true until the returned function is called. */
  follow(): () => void {
    void this.refresh();
    const ends = [
      live.on('resync', () => void this.refresh()),
      live.on('download', (heard: Download) => this.take(heard)),
    ];
    return () => ends.forEach((end) => end());
  }

  take(heard: Download): void {
    this.downloads = withDownload(this.downloads, heard);
  }

  async refresh(): Promise<void> {
    try {
      const found = await json<Downloads>('/api/downloads');
      [this.downloads, this.folder, this.tokenSource] = [found.downloads, found.folder, found.token_source];
      this.loaded = true;
    } catch {
      // The connection says what is wrong, and its next success comes back here.
    }
  }

  async start(ref: string): Promise<Download> {
    const begun = await json<Download>('/api/downloads', { method: 'POST', body: { ref } });
    this.take(begun);
    return begun;
  }

  async act(download: Download, what: 'pause' | 'resume' | 'remove'): Promise<void> {
    const path = `/api/downloads/${download.id}`;
    const response = await (what === 'remove'
      ? ask(path, { method: 'DELETE' })
      : ask(`${path}/${what}`, { method: 'POST' }));
    this.take((await response.json()) as Download);
  }

  async keepToken(token: string): Promise<void> {
    const kept = await json<{ source: string | null }>('/api/downloads/token', { method: 'PUT', body: { token } });
    this.tokenSource = kept.source;
  }
}

export const shelf = new Shelf();
