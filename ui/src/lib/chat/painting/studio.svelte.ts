/**
 * What is painted, and what has been? It outlives the page: a picture takes minutes, and the person looks at other pages
 * meanwhile.
 */
import { sentence } from '../../api/errors';
import { type Painted, painted } from './paint';

/** What one wish gave. */
export interface Sheet {
  id: number;
  prompt: string;
  pictures: Painted[];
  seconds: number;
}

/** So many are kept; they are in the browser's memory alone. */
const MOST_SHEETS = 20;

class Studio {
  model = $state('');
  prompt = $state('');
  size = $state('');
  count = $state(1);
  seed: number | null = $state(null);
  /** When what is being painted was asked for, in milliseconds; null while nothing is. */
  begunAt: number | null = $state(null);
  error = $state('');
  /** The newest first. */
  sheets: Sheet[] = $state.raw([]);
  #abort: AbortController | null = null;
  #made = 0;

  async paint(): Promise<void> {
    const own = (this.#abort = new AbortController());
    const begun = performance.now();
    const { model, size, count, seed } = this;
    const prompt = this.prompt.trim();
    [this.begunAt, this.error] = [performance.timeOrigin + begun, ''];
    try {
      const pictures = await painted({ model, prompt, size, count, seed }, own.signal);
      const sheet = { id: (this.#made += 1), prompt, pictures, seconds: (performance.now() - begun) / 1000 };
      this.sheets = [sheet, ...this.sheets].slice(0, MOST_SHEETS);
    } catch (reason) {
      if (!own.signal.aborted) this.error = sentence(reason);
    } finally {
      this.begunAt = null;
    }
  }

  stop(): void {
    this.#abort?.abort();
  }
}

export const studio = new Studio();
