/** Where is the person now? The browser's history as a reactive value. */
import { BASE, type Place, placeOf } from './router';

/** Asked before a page is left that would lose something. */
interface Asking {
  loss: string;
  leave: () => void;
}

class Navigation {
  place: Place = $state.raw(placeOf(location.pathname, location.search));
  asking: Asking | null = $state.raw(null);
  #href = location.href;
  #loss: () => string = () => '';

  go(href: string, replace = false): void {
    const loss = this.#lossAt(new URL(href, location.href));
    if (loss) this.#ask(loss, href, replace);
    else this.#go(href, replace);
  }

  /** The same for a button that goes away with its page: a screen reader goes on with the page that comes. */
  enter(href: string): void {
    this.go(href);
    document.getElementById('main')?.focus();
  }

  /** What would be lost with the present page, in a sentence, empty for nothing; returns how to end that. */
  guard(loss: () => string): () => void {
    this.#loss = loss;
    return () => (this.#loss = () => '');
  }

  #go(href: string, replace: boolean): void {
    history[replace ? 'replaceState' : 'pushState'](null, '', href);
    this.#read();
    if (!replace) scrollTo(0, 0);
  }

  #ask(loss: string, href: string, replace: boolean): void {
    const leave = () => {
      this.asking = null;
      this.#go(href, replace);
    };
    this.asking = { loss, leave };
  }

  #lossAt(url: URL): string {
    return placeOf(url.pathname, url.search).page === this.place.page ? '' : this.#loss();
  }

  /** The browser has gone back or forward already: it comes here again while the person is asked. */
  #moved(): void {
    const wanted = location.href;
    const loss = this.#lossAt(new URL(wanted));
    if (!loss) return this.#read();
    history.pushState(null, '', this.#href);
    this.#ask(loss, wanted, false);
  }

  /** Follows links inside the interface without loading it anew. */
  listen(): void {
    addEventListener('popstate', () => this.#moved());
    addEventListener('click', (event) => {
      const link = (event.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
      const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
      if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute('download')) return;
      if (link.origin !== location.origin || !(link.pathname === BASE || link.pathname.startsWith(`${BASE}/`))) return;
      event.preventDefault();
      if (link.href !== location.href) this.go(link.href);
    });
  }

  #read(): void {
    this.#href = location.href;
    this.place = placeOf(location.pathname, location.search);
  }
}

export const navigation = new Navigation();
