/**
 * How does what is drawn become what is to be drawn, without what has not changed being drawn anew? A selection, the
 * focus and the place of what scrolls stay with nodes that stay. Nodes are paired by their places: text grows at its end.
 * No library: those that are kept up write all of a text node anew, which ends a selection in it.
 */

/** What was put in the place of another element, and for which. */
const sources = new WeakMap<Node, Node>();

/** Puts an element in the place of another one: as long as that one is to be drawn, it stays. */
export function standIn(made: Element, source: Element): void {
  sources.set(made, source);
  source.replaceWith(made);
}

/** Gives an element equal children to those of another one; takes from that one what it needs. */
export function patch(into: Node, from: Node): void {
  let old = into.firstChild;
  for (const next of [...from.childNodes]) {
    if (!old) into.appendChild(next);
    else if (same(old, next) || changed(old, next)) old = old.nextSibling;
    else {
      const after: ChildNode | null = old.nextSibling;
      old.replaceWith(next);
      old = after;
    }
  }
  while (old) {
    const after: ChildNode | null = old.nextSibling;
    old.remove();
    old = after;
  }
}

function same(old: Node, next: Node): boolean {
  return (sources.get(old) ?? old).isEqualNode(next);
}

/** Makes the one like the other, where they are of one kind. */
function changed(old: Node, next: Node): boolean {
  if (old instanceof Text && next instanceof Text) {
    const at = common(old.data, next.data);
    old.replaceData(at, old.length - at, next.data.slice(at));
    return true;
  }
  if (!(old instanceof Element && next instanceof Element) || old.tagName !== next.tagName || sources.has(old))
    return false;
  for (const name of old.getAttributeNames()) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  patch(old, next);
  return true;
}

/** With how many characters both begin. */
function common(one: string, other: string): number {
  if (other.startsWith(one)) return one.length;
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}
