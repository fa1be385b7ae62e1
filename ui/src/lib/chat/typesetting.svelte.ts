/** How does mathematics become something to look at? KaTeX, which is fetched when the first formula is there. */
import { standIn } from './patch';

type Katex = typeof import('./katex').default;

class Typesetting {
  #katex: Katex | null = $state.raw(null);
  #asked = false;

  /**
   * Typesets what `tex.ts` marked below an element; again once KaTeX is there. It builds elements: a string with style
   * attributes would lose them, as the page's policy forbids such. A source that is none stays as it was written.
   */
  set(element: HTMLElement): void {
    const found = element.querySelectorAll<HTMLElement>('[data-tex]');
    if (!found.length) return;
    const katex = this.#katex;
    if (!katex) return this.#fetch();
    for (const place of found) {
      const source = place.textContent ?? '';
      const made = document.createElement('span');
      const displayMode = place.dataset.tex === 'display';
      try {
        katex.render(source, made, { displayMode, strict: 'ignore', maxSize: 20, maxExpand: 500 });
      } catch {
        continue;
      }
      made.className = displayMode ? 'tex display' : 'tex';
      standIn(made, place);
    }
  }

  #fetch(): void {
    if (this.#asked) return;
    this.#asked = true;
    import('./katex').then(
      (module) => (this.#katex = module.default),
      () => (this.#asked = false),
    );
  }
}

export const typesetting = new Typesetting();
