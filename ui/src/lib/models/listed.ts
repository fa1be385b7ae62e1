/** Which models are there for a key that may use them, and not look at the server? What `GET /v1/models` tells. Pure. */
import type { Model } from '../api/types';

export interface ListedRow {
  id: string;
  name?: string;
  description?: string;
  /** Which model an alias stands for. */
  modelID?: string;
  aliases?: string[];
  architecture?: { input_modalities?: string[]; output_modalities?: string[] };
  capabilities?: { function_calling?: boolean; reranker?: boolean };
  context_length?: number;
}

export function listedModels(rows: readonly ListedRow[]): Model[] {
  return rows.filter(({ modelID }) => !modelID).map(listedModel);
}

function listedModel({ id, name, description, aliases, architecture, capabilities, context_length }: ListedRow): Model {
  return plainModel(id, {
    name: name ?? '',
    description: description ?? '',
    aliases: aliases ?? [],
    capabilities: {
      in: architecture?.input_modalities ?? [],
      out: architecture?.output_modalities ?? [],
      tools: capabilities?.function_calling ?? false,
      reranker: capabilities?.reranker ?? false,
      context: context_length ?? 0,
    },
  });
}

/** A model of which no more is known than its name: stopped, and nothing else. */
export function plainModel(id: string, more: Partial<Model> = {}): Model {
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
    ...more,
  };
}
