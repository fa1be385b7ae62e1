/** Where is the person now? The browser's history as a reactive value. */
import { BASE, type Place, placeOf } from './router';

class Navigation {
  place: Place = $state.raw(placeOf(location.pathname, location.search));

  go(href: string, replace = false): void {
    history[replace ? 'replaceState' : 'pushState'](null, '', href);
    this.#read();
    if (!replace) scrollTo(0, 0);
  }

  /** Follows links inside the interface without loading it anew. */
  listen(): void {
    addEventListener('popstate', () => this.#read());
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
    this.place = placeOf(location.pathname, location.search);
  }
}

export const navigation = new Navigation();
