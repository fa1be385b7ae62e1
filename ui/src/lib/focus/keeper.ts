/**
 * Where does the focus go when what has it goes away? A browser gives it to the page's body: who uses the keyboard begins
 * at the top again, and a screen reader says nothing. Here it goes to what the place names with `data-home`, else to the
 * section that it was in; and what was only disabled for a while has it again. Whoever knows better, does it at once.
 */
const PLACE = '[data-home], dialog, section[aria-label], [role=group][aria-label], main';

export class Keeper {
  /** What has the focus or had it last, and what is around it, from inside outwards. */
  #last: HTMLElement | null = null;
  #around: Element[] = [];
  /** Whether it could not keep it, and is still there. */
  #waits = false;
  #due: ReturnType<typeof setTimeout> | undefined;

  /** Follows the focus of a document until the function is called that this returns. */
  follow(document: Document): () => void {
    const came = ({ target }: FocusEvent) => target instanceof HTMLElement && this.#came(target);
    const soon = () => {
      // Browsers take it away later, and some without a word.
      this.#waits ||= this.#last?.matches(':disabled') ?? false;
      if (this.#last && nobody(document)) this.#due ??= setTimeout(() => this.#settle(document));
    };
    const observer = new MutationObserver(soon);
    document.addEventListener('focusin', came);
    document.addEventListener('focusout', soon);
    observer.observe(document.body, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: ['disabled', 'hidden', 'open'],
    });
    return () => {
      document.removeEventListener('focusin', came);
      document.removeEventListener('focusout', soon);
      observer.disconnect();
      clearTimeout(this.#due);
    };
  }

  #came(target: HTMLElement): void {
    const around = ancestors(target);
    const dialog = target.closest('dialog');
    // Behind a dialog is where it was opened: -1 + 1 is all that was around then.
    const behind = dialog ? this.#around.slice(this.#around.indexOf(dialog) + 1) : [];
    this.#around = dialog ? [...around.slice(0, around.indexOf(dialog) + 1), ...behind] : around;
    [this.#last, this.#waits] = [target, false];
  }

  #settle(document: Document): void {
    this.#due = undefined;
    const last = this.#last;
    if (!last || !nobody(document)) return;
    if (!last.isConnected) return this.#home();
    if (!able(last)) this.#waits = true;
    else if (this.#waits) last.focus({ preventScroll: true });
    else this.#last = null; // It was left on purpose.
  }

  #home(): void {
    const place = this.#around.find((each) => each.isConnected && each.matches(PLACE)) as HTMLElement | undefined;
    this.#last = null;
    if (!place) return;
    const { home } = place.dataset;
    const found = home ? place.querySelector<HTMLElement>(home) : null;
    const named = found && able(found) ? found : null;
    const next = named ?? place;
    // So that it can have the focus, and is not in the way of who goes from control to control.
    if (!named && !place.hasAttribute('tabindex')) place.tabIndex = -1;
    next.focus({ preventScroll: true });
  }
}

function nobody(document: Document): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

function able(element: HTMLElement): boolean {
  return !element.matches(':disabled') && (element.checkVisibility?.() ?? true);
}

function ancestors(element: Element): Element[] {
  const found: Element[] = [];
  for (let each = element.parentElement; each; each = each.parentElement) found.push(each);
  return found;
}
