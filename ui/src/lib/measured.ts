/** How tall is what stands in front of a page? Told to the styles, so that a page can leave room for it. */

/** Keeps the height of an element, and `more` pixels, in a property of the document for as long as it is there. */
export function measured(property: `--${string}`, more = 0): (element: HTMLElement) => () => void {
  const { style } = document.documentElement;
  return (element) => {
    const seen = new ResizeObserver(() => style.setProperty(property, `${element.offsetHeight + more}px`));
    seen.observe(element);
    return () => {
      seen.disconnect();
      style.removeProperty(property);
    };
  };
}
