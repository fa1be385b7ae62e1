/** Where does the focus go when what has it leaves the page? To what is nearest to its place. */

const CAN_HAVE_IT = 'a[href], button:not(:disabled), input:not(:disabled), select, textarea, [tabindex="0"]';

/** To be attached to what comes and goes: who was in it goes on beside it, not at the beginning of the page. */
export function handsOver(element: HTMLElement): () => void {
  let around: HTMLElement[] = [];
  const entered = () => (around = aroundOf(element));
  const left = ({ relatedTarget: to }: FocusEvent) => {
    if (to instanceof Node && !element.contains(to)) around = [];
  };
  element.addEventListener('focusin', entered);
  element.addEventListener('focusout', left);
  return () => {
    element.removeEventListener('focusin', entered);
    element.removeEventListener('focusout', left);
    if (document.activeElement === document.body) nearest(around)?.focus({ preventScroll: true });
  };
}

/** What an element is in, from the innermost outwards. */
export function aroundOf(element: HTMLElement): HTMLElement[] {
  const found: HTMLElement[] = [];
  for (let each = element.parentElement; each; each = each.parentElement) found.push(each);
  return found;
}

/** The first that can have the focus in the innermost of these that is still there. */
export function nearest(around: readonly HTMLElement[]): HTMLElement | undefined {
  for (const each of around) {
    if (!each.isConnected) continue;
    const found = [...each.querySelectorAll<HTMLElement>(CAN_HAVE_IT)].find((one) => one.checkVisibility());
    if (found) return found;
  }
  return undefined;
}
