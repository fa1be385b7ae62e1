/**
 * What is painted, and what has been? It outlives the page: a picture takes minutes, and the person looks at other pages
 * meanwhile. What was painted is kept in this browser, as far as that takes it.
 */
import { sentence } from '../../api/errors';
import { notices } from '../../notices.svelte';
import { contentOf, dropContents, storedContent } from '../attachments/bulk';
import { newId } from '../conversation';
import { type Painted, SIZES, painted } from './paint';
import { type Painting, newestFirst, overBound, paintings } from './paintings';

/** A painting as the page has it. */
export interface Sheet extends Painting {
  /** Whether this browser keeps it; null until that is known. */
  kept: boolean | null;
}

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
  sheets: Sheet[] = $state.raw(newestFirst(paintings.all().map(sheetOf)));
  #abort: AbortController | null = null;
  #toldOfRoom = false;

  constructor() {
    addEventListener('storage', (event) => {
      const heard = paintings.heard(event);
      if (heard?.value) this.#show(sheetOf(heard.value));
      else if (heard) this.#forget(this.sheets.filter(({ id }) => id === heard.id));
    });
  }

  async paint(): Promise<void> {
    const own = (this.#abort = new AbortController());
    const begun = performance.now();
    const { model, size, count, seed } = this;
    const prompt = this.prompt.trim();
    [this.begunAt, this.error] = [performance.timeOrigin + begun, ''];
    try {
      const pictures = await painted({ model, prompt, size, count, seed }, own.signal);
      const seconds = (performance.now() - begun) / 1000;
      void this.#keep({ at: Date.now(), prompt, model, size, seed, pictures, seconds });
    } catch (reason) {
      if (!own.signal.aborted) this.error = sentence(reason);
    } finally {
      this.begunAt = null;
    }
  }

  stop(): void {
    this.#abort?.abort();
  }

  /** Takes what a painting was asked for as the next wish, as far as it can still be asked for. */
  again({ prompt, model, size, seed, pictures }: Painting): void {
    Object.assign(this, { prompt, model, seed, count: pictures.length });
    this.size = SIZES.includes(size) ? size : '';
  }

  /** Deletes a painting. Returns how to undo that. */
  remove(sheet: Sheet): () => void {
    const whole = Promise.all(
      sheet.pictures.map(async ({ url, ending }) => ({ url: (await contentOf(url)) ?? url, ending })),
    );
    this.sheets = this.sheets.filter(({ id }) => id !== sheet.id);
    paintings.forget(sheet.id);
    void whole.then(() => dropContents(namesOf(sheet)));
    return () => void whole.then((pictures) => this.#keep({ ...sheet, pictures }));
  }

  /** Shows a painting and keeps it. Its record is written when its pictures are: none names what is not there. */
  async #keep(painting: Omit<Painting, 'id' | 'bytes'>): Promise<void> {
    const { at, prompt, model, size, seed, seconds } = painting;
    const [id, writing] = [newId(), [] as Promise<boolean>[]];
    let bytes = 0;
    const pictures = painting.pictures.map(({ url, ending }): Painted => {
      if (!url.startsWith('data:')) return { url, ending };
      const { name, written } = storedContent(url);
      writing.push(written);
      bytes += url.length;
      return { url: name, ending };
    });
    const whole: Painting = { id, at, prompt, model, size, seed, pictures, bytes, seconds };
    this.#show({ ...whole, kept: null });
    const taken = (await Promise.all(writing)).every(Boolean);
    // Deleted meanwhile?
    if (!this.sheets.some((each) => each.id === id)) return;
    const kept = taken && paintings.write(id, whole);
    this.#show({ ...whole, kept });
    if (!kept) this.#tellOfRoom();
    this.#forget(overBound([...paintings.all().map(sheetOf), ...this.sheets.filter((each) => !each.kept)]));
  }

  #show(sheet: Sheet): void {
    this.sheets = newestFirst([sheet, ...this.sheets.filter(({ id }) => id !== sheet.id)]);
  }

  #forget(gone: readonly Sheet[]): void {
    if (!gone.length) return;
    const ids = new Set(gone.map(({ id }) => id));
    this.sheets = this.sheets.filter(({ id }) => !ids.has(id));
    for (const id of ids) paintings.forget(id);
    void dropContents(gone.flatMap(namesOf));
  }

  #tellOfRoom(): void {
    if (this.#toldOfRoom) return;
    this.#toldOfRoom = true;
    notices.say(
      'This browser does not keep what is painted: it has no room for it, or is a private window. Download what you like.',
      'bad',
    );
  }
}

function sheetOf(painting: Painting): Sheet {
  return { ...painting, kept: true };
}

function namesOf({ pictures }: Painting): string[] {
  return pictures.map(({ url }) => url).filter((url) => url.startsWith('kept:'));
}

export const studio = new Studio();
