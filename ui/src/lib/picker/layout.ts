/** Where is each line of an open list, which of them are seen, and where does the list itself open? Pure; pixels. */
import type { Choice, Shelf } from './offers';

export interface Line {
  choice: Choice;
  top: number;
  /** From 1, among all choices. */
  position: number;
}
export interface Block {
  key: string;
  title: string;
  top: number;
  lines: Line[];
}
export interface Heights {
  heading: number;
  line: number;
}

/** All lines from top to bottom, and how high they are together. */
export function laidOut(shelves: readonly Shelf[], heights: Heights): { blocks: Block[]; height: number } {
  let [top, position] = [0, 0];
  const blocks = shelves.map(({ key, title, choices }) => {
    const block: Block = { key, title, top, lines: [] };
    if (title) top += heights.heading;
    for (const choice of choices) {
      block.lines.push({ choice, top, position: (position += 1) });
      top += heights.line;
    }
    return block;
  });
  return { blocks, height: top };
}

/** What touches the stretch, and the line of `kept` wherever it is: what has the focus must be there. */
export function seenOf(
  blocks: readonly Block[],
  { from, to }: { from: number; to: number },
  height: number,
  kept: string | undefined,
): Block[] {
  return blocks.flatMap((block) => {
    const lines = block.lines.filter(({ top, choice }) => (top + height > from && top < to) || choice.value === kept);
    return lines.length ? [{ ...block, lines }] : [];
  });
}

/** How far to scroll so that a line, and the heading right above it, is seen. */
export function scrolledTo(
  blocks: readonly Block[],
  value: string,
  heights: Heights,
  window: { top: number; height: number },
): number {
  for (const block of blocks) {
    const line = block.lines.find(({ choice }) => choice.value === value);
    if (!line) continue;
    const above = line === block.lines[0] ? block.top : line.top;
    if (above < window.top) return above;
    return Math.max(window.top, line.top + heights.line - window.height);
  }
  return window.top;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}
export interface Place {
  left: number;
  width: number;
  /** Of the two, one is given: it hangs below the field, or stands above it. */
  top: number | null;
  bottom: number | null;
  height: number;
}

const GAP = 4;
const EDGE = 8;
/** Below this it is rather opened above, where there is more room. */
const ENOUGH = 220;

/**
 * Where a list of a field opens. `seen` is what a person sees of the page (a keyboard may hide a part), `page` how high
 * the page's own window is, `wish` how wide the list would like to be at least, and how high it may be at most.
 */
export function placeOf(field: Box, seen: Box, page: number, wish: { width: number; height: number }): Place {
  const room = seen.right - seen.left - 2 * EDGE;
  const width = Math.min(room, Math.max(wish.width, field.right - field.left));
  const left = Math.max(seen.left + EDGE, Math.min(field.left, seen.right - EDGE - width));
  const below = seen.bottom - field.bottom - GAP - EDGE;
  const above = field.top - seen.top - GAP - EDGE;
  const hangs = below >= Math.min(ENOUGH, wish.height) || below >= above;
  return {
    left,
    width,
    top: hangs ? field.bottom + GAP : null,
    bottom: hangs ? null : page - field.top + GAP,
    height: Math.max(0, Math.min(wish.height, hangs ? below : above)),
  };
}
