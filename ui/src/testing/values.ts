/** Values that tests begin from; each test changes what it is about. */
import { unknownModel } from '$lib/api/listed';
import type { ActivityRow, Device, Flight, Model, PortReport, PortRow, Swap } from '$lib/api/types';

export function model(id: string, more: Partial<Model> = {}): Model {
  return {
    ...unknownModel(id),
    kind: 'chat',
    capabilities: { in: ['text'], out: ['text'], tools: false, reranker: false, context: 4096 },
    ...more,
  };
}

export function flight(id: number, more: Partial<Flight> = {}): Flight {
  return {
    id,
    request_id: '',
    model: 'a',
    requested: 'a',
    path: '/v1/chat/completions',
    client: '127.0.0.1',
    state: 'waiting',
    tokens: 0,
    tokens_per_second: null,
    position: null,
    arrived_at: 0,
    served_at: null,
    first_byte_at: null,
    response_bytes: 0,
    ...more,
  };
}

export function row(at: number, more: Partial<ActivityRow> = {}): ActivityRow {
  return {
    id: at,
    at,
    model: 'a',
    requested: 'a',
    path: '/v1/chat/completions',
    status: 200,
    stream: true,
    key: null,
    client: '127.0.0.1',
    queue_seconds: null,
    load_seconds: null,
    first_token_seconds: null,
    total_seconds: 1,
    prompt_tokens: null,
    cached_tokens: null,
    completion_tokens: null,
    prompt_per_second: null,
    tokens_per_second: null,
    error: null,
    has_capture: false,
    content_type: '',
    session: null,
    selector: null,
    priority: null,
    node: null,
    draft_tokens: null,
    accepted_tokens: null,
    tokens_counted: false,
    request_id: null,
    ...more,
  };
}

export function portRow(port: number, state: string, more: Partial<PortRow> = {}): PortRow {
  return { port, state, model: null, group: null, pid: null, holder: '', note: '', ...more };
}

export function report(ports: PortRow[], more: Partial<PortReport> = {}): PortReport {
  return {
    web: {
      hosts: ['127.0.0.1'],
      port: 5800,
      url: 'http://127.0.0.1:5800',
      state: 'serving',
      pid: 1,
      holder: 'ClaraCore (pid 1)',
    },
    ranges: [{ name: '(default)', start: 8100, end: 8399, members: [] }],
    ports,
    findings: [],
    ...more,
  };
}

export function swap(phases: Partial<Swap['phases']>, more: Partial<Swap> = {}): Swap {
  const none = {
    queued_seconds: 0,
    drain_seconds: 0,
    stop_seconds: 0,
    spawn_seconds: null,
    load_seconds: null,
    restore_seconds: null,
    first_token_seconds: null,
  };
  return {
    model: 'a',
    at: 0,
    reason: 'request',
    evicted: [],
    total_seconds: 0,
    error: null,
    ended_at: null,
    because: '',
    cancelled: false,
    phases: { ...none, ...phases },
    ...more,
  };
}

/** A device of so many bytes, of which those are free that nobody has. */
export function device(id: string, total: number, more: Partial<Device> = {}): Device {
  const { other_bytes = 0, reserved_bytes = 0, models = [], budget_bytes = total } = more;
  const taken = models.reduce((sum, row) => sum + row.bytes, 0);
  const usable = Math.max(0, Math.min(budget_bytes, total - other_bytes - reserved_bytes));
  const free_bytes = Math.max(0, usable - taken);
  return { id, name: id, total_bytes: total, budget_bytes, reserved_bytes, other_bytes, models, free_bytes, ...more };
}
