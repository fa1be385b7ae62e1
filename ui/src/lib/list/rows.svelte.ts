/**
 * Which rows of a list does the document hold? Those in sight with some around them, and the one that has the focus.
 * Reactive, and the only place that measures; the arithmetic is `heights.ts`.
 */
import { remember } from './anchor';
import { createAttachmentKey } from 'svelte/attachments';
import type { HTMLLiAttributes } from 'svelte/elements';
import { offsetsOf, rowsIn } from './heights';

export interface Item {
  id: string;
}
export interface Row {
  item: Item;
  attributes: HTMLLiAttributes;
}

/** Pixels above and below the window that are drawn too: what Tab or the wheel reach next. */
const AROUND = 240;

/** How high rows are that were never drawn: as the last ones that were, in whichever list. */
class Likely {
  height = $state(60);
}
const likely = new Likely();

export class Rows {
  #heights: ReadonlyMap<string, number> = $state.raw(new Map());
  #range: readonly [number, number] = $state.raw([0, 0]);
  #focused: string | null = $state(null);
  #list: HTMLElement | null = null;
  #width = 0;
  readonly #items: () => readonly Item[];
  readonly #measure = createAttachmentKey();
  readonly #observer = new ResizeObserver((entries) => this.#measured(entries));
  /** One for all rows and all times: a new one would be measured anew. */
  readonly #observed = (row: HTMLElement) => {
    this.#observer.observe(row);
    return () => this.#observer.unobserve(row);
  };

  #offsets = $derived.by(() =>
    offsetsOf(
      this.#items().map((item) => item.id),
      this.#heights,
      likely.height,
    ),
  );
  readonly height = $derived.by(() => this.#offsets.at(-1)!);
  readonly shown: Row[] = $derived.by(() => {
    const items = this.#items();
    const [from, to] = this.#range;
    return items.flatMap((item, index) =>
      (index >= from && index < to) || item.id === this.#focused ? [this.#row(item, index, items.length)] : [],
    );
  });

  constructor(items: () => readonly Item[]) {
    this.#items = items;
  }

  /** Follows what is seen of the list until the function is called that this returns. */
  watch(list: HTMLElement): () => void {
    this.#list = list;
    const look = () => this.look();
    const scrolled = () => {
      remember();
      look();
    };
    addEventListener('scroll', scrolled, { passive: true });
    addEventListener('resize', look, { passive: true });
    this.#observer.observe(list);
    this.look();
    return () => {
      removeEventListener('scroll', scrolled);
      removeEventListener('resize', look);
      this.#observer.disconnect();
      this.#list = null;
    };
  }

  look(): void {
    if (!this.#list) return;
    const { top } = this.#list.getBoundingClientRect();
    const [from, to] = rowsIn(this.#offsets, -top - AROUND, innerHeight - top + AROUND);
    if (from !== this.#range[0] || to !== this.#range[1]) this.#range = [from, to];
  }

  /** The row in which this element is stays, wherever the page is scrolled. */
  focus(element: Element | null): void {
    const row = element?.closest<HTMLElement>('[data-row]');
    this.#focused = row && this.#list?.contains(row) ? row.dataset.row! : null;
  }

  #row(item: Item, index: number, count: number): Row {
    const attributes = {
      'data-row': item.id,
      'aria-posinset': index + 1,
      'aria-setsize': count,
      style: `position: absolute; inset: ${this.#offsets[index]}px 0 auto`,
      [this.#measure]: this.#observed,
    };
    return { item, attributes };
  }

  #measured(entries: ResizeObserverEntry[]): void {
    const heights = new Map(this.#heights);
    let changed = false;
    for (const { target, contentRect, borderBoxSize } of entries) {
      const id = (target as HTMLElement).dataset.row;
      if (id === undefined) changed = this.#widened(contentRect.width, heights) || changed;
      else {
        const height = borderBoxSize[0]?.blockSize ?? contentRect.height;
        changed ||= heights.get(id) !== height;
        heights.set(id, height);
      }
    }
    if (!changed) return;
    this.#heights = heights;
    if (heights.size) likely.height = [...heights.values()].reduce((sum, each) => sum + each, 0) / heights.size;
  }

  /** Another layout: what is not drawn now is of another height too. */
  #widened(width: number, heights: Map<string, number>): boolean {
    if (width === this.#width) return false;
    this.#width = width;
    for (const id of heights.keys())
      if (!this.#list?.querySelector(`[data-row="${CSS.escape(id)}"]`)) heights.delete(id);
    return true;
  }
}
