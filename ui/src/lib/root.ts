/** Where is ClaraCore, seen from this page? '' at the root of a host, '/llm' below the path at which a proxy offers it. */
const told = typeof document === 'undefined' ? null : document.querySelector<HTMLMetaElement>('meta[name="interface"]');

/** What stands before every path of ours; the server has put it before those of the page. */
export const ROOT = (told?.content ?? '/ui/').replace(/\/ui\/$/, '');
