/**
 * What is known of models when the key may use them and not look at the server? Only what `GET /v1/models` lists, which
 * is shown as the control plane shows models. Pure.
 */
import type { Kind, Model } from './types';

/** A row of `GET /v1/models`, as far as it is used. */
export interface ListedModel {
  id: string;
  name?: string;
  description?: string;
  status?: { value: string };
  meta?: { n_ctx?: number; llamaswap?: { type?: string; aliases?: string[] } };
  capabilities?: { function_calling?: boolean; reranker?: boolean };
  architecture?: { input_modalities?: string[]; output_modalities?: string[] };
}

/** A model of which nothing but its id is known. */
export function unknownModel(id: string): Model {
  return {
    id,
    name: '',
    description: '',
    aliases: [],
    unlisted: false,
    state: 'stopped',
    group: '(default)',
    kind: null,
    capabilities: { in: [], out: [], tools: false, reranker: false, context: 0 },
    node: null,
    port: null,
    pid: null,
    memory_bytes: null,
    memory: { devices: {}, source: 'unknown', expected: null, measured: null },
    load_seconds: null,
    progress: null,
    progress_message: null,
    load_phase: null,
    read_bytes: null,
    weight_bytes: null,
    expected_seconds: null,
    asleep: false,
    ttl_seconds: 0,
    ttl_left_seconds: null,
    serving: 0,
    waiting: 0,
    loads_by_hand: 0,
    waits_for: null,
    retry_seconds: null,
    pinned: false,
    error: null,
    failure: null,
    cmd: '',
    endpoint: null,
    would_unload: [],
    in_the_way: [],
    would_not_fit: null,
    lessened: null,
    tokens_per_second: null,
    conversation: {
      keep: 'memory',
      saved: 0,
      saved_tokens: 0,
      saved_bytes: 0,
      restored: 0,
      reused_tokens: 0,
      saved_seconds: null,
      works: 'unknown',
      why: '',
    },
  };
}

/** The models of a list; other names of one are its aliases, and no models. */
export function listedModels(rows: readonly ListedModel[]): Model[] {
  return rows.filter(({ meta }) => meta?.llamaswap?.type !== 'alias').map(listedModel);
}

function listedModel({ id, name, description, status, meta, capabilities, architecture }: ListedModel): Model {
  const reranker = capabilities?.reranker ?? false;
  const kind: Kind | null = reranker ? 'reranker' : null;
  return {
    ...unknownModel(id),
    name: name ?? '',
    description: description ?? '',
    aliases: meta?.llamaswap?.aliases ?? [],
    state: status?.value === 'loaded' ? 'ready' : 'stopped',
    kind,
    capabilities: {
      in: architecture?.input_modalities ?? [],
      out: architecture?.output_modalities ?? [],
      tools: capabilities?.function_calling ?? false,
      reranker,
      context: meta?.n_ctx ?? 0,
    },
  };
}
