/** How do an answer's words become elements? Their HTML, which `markdown.ts` made harmless, is patched in; then formulas. */
import { patch } from './patch';
import { typesetting } from './typesetting.svelte';

/** An attachment that draws HTML into an element, or what is in one element of that HTML. */
export function drawn(html: string, of?: string): (element: HTMLElement) => void {
  return (element) => {
    const template = document.createElement('template');
    template.innerHTML = html;
    const from = of ? template.content.querySelector(of) : template.content;
    if (from) patch(element, from);
    typesetting.set(element);
  };
}
