/** What is shown of a machine that answers requests here? Pure; the page is `pages/Nodes.svelte`. */
import type { NodeMemoryView, NodeView } from '$lib/api/schema';
import { bytes, plural } from '$lib/format';

export const LOCAL = 'local';
const KINDS: Record<string, string> = { up: 'ok', silent: 'warn', lost: 'bad', asleep: 'info' };
const PROGRAMS: Record<string, string> = {
  local: 'this machine',
  claracore: 'ClaraCore',
  'llama-swap': 'llama-swap',
  'lm-studio': 'LM Studio',
  ollama: 'Ollama',
  vllm: 'vLLM',
  'llama-server': 'llama-server',
  other: 'OpenAI API',
  peer: 'not heard of yet',
};

/** The colour of a state's badge, as a class. */
export function badgeOf(state: string): string {
  return KINDS[state] ?? '';
}

/** Program and version of a machine. */
export function programOf(node: Pick<NodeView, 'kind' | 'version'>): string {
  return [PROGRAMS[node.kind] ?? node.kind, node.version].filter(Boolean).join(' ');
}

/** How full a device is, 0 to 1, and the same in words. */
export function fullness(memory: NodeMemoryView): { share: number; words: string } {
  const used = Math.max(0, memory.total_bytes - memory.free_bytes);
  const share = memory.total_bytes > 0 ? used / memory.total_bytes : 0;
  return { share, words: `${bytes(memory.free_bytes)} of ${bytes(memory.total_bytes)} free` };
}

/** The files that a machine still needs for models from here, a line each: `fetching qwen.gguf 41 %, 3 min left`. */
export function filesOf(node: Pick<NodeView, 'files'>): string[] {
  return (node.files ?? []).map((file) => file.words).filter(Boolean);
}

/** What a machine has to do with models, in a line. */
export function modelsOf(node: Pick<NodeView, 'models' | 'loaded' | 'requests'>): string {
  return [plural(node.models.length, 'model'), `${node.loaded.length} loaded`, plural(node.requests, 'request')].join(
    ' · ',
  );
}

const CONFIGURATIONS: Record<string, { badge: string; words: string }> = {
  current: { badge: 'ok', words: 'up to date' },
  older: { badge: 'warn', words: 'older' },
  refused: { badge: 'bad', words: 'refused' },
  closed: { badge: 'warn', words: 'not given' },
};

/** What there is to say of models of a machine whose names are this machine's own; empty where there are none. */
export function hiddenOf(node: Pick<NodeView, 'hidden'>): string {
  return node.hidden?.length
    ? `not to be had from here, for names of this machine are the same: ${node.hidden.join(', ')}`
    : '';
}

/** How a machine is with the models that it is to have from here; null where it is given none. */
export function configurationOf(
  node: Pick<NodeView, 'configuration'>,
): { badge: string; words: string; about: string } | null {
  const found = node.configuration;
  if (!found) return null;
  const { badge, words } = CONFIGURATIONS[found.state] ?? { badge: '', words: found.state };
  const own = found.kept.length ? `its own file has ${found.kept.join(', ')}` : '';
  return { badge, words, about: [`${plural(found.models.length, 'model')} from here`, own].filter(Boolean).join('; ') };
}
