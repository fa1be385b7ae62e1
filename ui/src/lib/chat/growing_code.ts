/**
 * How is code drawn that still grows? What comes is put behind what is there. Colours are found by reading all of it:
 * this is done at once as long as it takes little of the time, else a while later, and after the last piece in any case.
 */
import { TOGETHER, colourable, highlighted } from './highlight';
import { patch } from './patch';

/** So many times as long as colouring took, it is not done again. */
const REST = 5;

export class GrowingCode {
  #element: Element = document.createElement('code');
  #code = '';
  #language = '';
  /** How many characters of it have been coloured. */
  #coloured = 0;
  /** When to colour again, at the earliest. */
  #due = 0;
  #later: ReturnType<typeof setTimeout> | undefined;

  draw(element: HTMLElement, code: string, language: string): void {
    const grown = element === this.#element && language === this.#language && code.startsWith(this.#code);
    const more = grown ? code.slice(this.#code.length) : '';
    [this.#element, this.#code, this.#language] = [element, code, language];
    if (grown && colourable(code, language) === this.#coloured) return this.#append(more);
    const now = performance.now();
    if (!grown || now >= this.#due) return this.#colour();
    this.#append(more);
    this.#later ??= setTimeout(() => this.#colour(), this.#due - now);
  }

  end(): void {
    clearTimeout(this.#later);
  }

  #append(more: string): void {
    if (!more) return;
    for (const line of more.split(/(?<=\n)/)) {
      const part = this.#part();
      if (part.lastChild instanceof Text) part.lastChild.appendData(line);
      else part.append(line);
    }
  }

  /** Where the next line belongs: with the last ones, or at a new beginning. */
  #part(): Element {
    const last = this.#element.lastElementChild;
    if (last && (last.textContent ?? '').split('\n').length <= TOGETHER) return last;
    const made = document.createElement('span');
    made.className = 'lines';
    return this.#element.appendChild(made);
  }

  #colour(): void {
    this.end();
    this.#later = undefined;
    const began = performance.now();
    const template = document.createElement('template');
    template.innerHTML = highlighted(this.#code, this.#language);
    patch(this.#element, template.content);
    this.#coloured = colourable(this.#code, this.#language);
    this.#due = performance.now() + REST * (performance.now() - began);
  }
}
