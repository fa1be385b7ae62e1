/** Keeps an open list where its field is, above everything else, for as long as it is there. The only place that measures. */
import { type Place, placeOf } from './layout';

/** In shares of the reader's font size. */
const WIDTH = 28;
const HEIGHT = 26;

export function rem(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** To be attached to the popup; `left` is called when its field is scrolled out of sight. */
export function besideOf(field: () => HTMLElement, left: () => void): (popup: HTMLElement) => () => void {
  return (popup) => {
    const view = visualViewport!;
    const page = document.documentElement;
    const put = () => {
      const box = field().getBoundingClientRect();
      const [x, y] = [view.offsetLeft, view.offsetTop];
      // The place of the scroll bar is not the page's.
      const right = x + Math.min(view.width, page.clientWidth);
      const seen = { left: x, top: y, right, bottom: y + view.height };
      if (box.bottom <= seen.top || box.top >= seen.bottom) return left();
      const wish = { width: WIDTH * rem(), height: HEIGHT * rem() };
      apply(popup, placeOf(box, seen, page.clientHeight, wish));
    };
    const scrolled = (event: Event) => popup.contains(event.target as Node) || put();
    popup.showPopover();
    put();
    addEventListener('scroll', scrolled, { passive: true, capture: true });
    for (const type of ['resize', 'scroll']) view.addEventListener(type, put);
    return () => {
      removeEventListener('scroll', scrolled, { capture: true });
      for (const type of ['resize', 'scroll']) view.removeEventListener(type, put);
    };
  };
}

function apply({ style }: HTMLElement, { left, width, top, bottom, height }: Place): void {
  style.left = `${left}px`;
  style.width = `${width}px`;
  style.top = top === null ? 'auto' : `${top}px`;
  style.bottom = bottom === null ? 'auto' : `${bottom}px`;
  style.maxHeight = `${height}px`;
}
