/** How does code inside of a list or a quotation become the same block as elsewhere? It is put where `markdown.ts` marked it. */
import { mount, unmount } from 'svelte';
import CodeBlock from './CodeBlock.svelte';
import { named } from './markdown';

/** Makes blocks of what is marked below an element; returns how to end them. */
export function unfold(element: HTMLElement): () => void {
  const made = [...element.querySelectorAll<HTMLElement>('div[data-code]')].map((target) => {
    // Kept, as a block is made again below what is still the same text.
    const code = (target.dataset.text ??= target.textContent ?? '');
    const props = { code, ...named(target.dataset.code ?? '') };
    target.replaceChildren();
    return mount(CodeBlock, { target, props });
  });
  return () => made.forEach((each) => void unmount(each));
}
