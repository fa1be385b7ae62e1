/** How does code inside a list or a quotation become what code is elsewhere: a frame with colours and a button to copy? */
import { mount, unmount } from 'svelte';
import CodeBlock from './CodeBlock.svelte';
import { called } from './markdown';

/** Puts a code block in the place of each `pre` below an element; ends them when the function is called that it returns. */
export function framed(element: HTMLElement): () => void {
  const blocks = [...element.querySelectorAll('pre')].map((pre) => {
    const props = { code: (pre.textContent ?? '').replace(/\n$/, ''), ...called(pre.dataset.language ?? '') };
    const block = mount(CodeBlock, { target: pre.parentElement!, anchor: pre, props });
    pre.remove();
    return block;
  });
  return () => blocks.forEach((block) => void unmount(block));
}
