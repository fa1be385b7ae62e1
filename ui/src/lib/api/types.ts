/** What does the control plane say? The shapes of its answers, by hand until the OpenAPI schema names them all. */

export type ModelState = 'stopped' | 'starting' | 'ready' | 'stopping';
export type Kind = 'chat' | 'base' | 'embedding' | 'reranker' | 'vision' | 'audio';

export interface Model {
  id: string;
  name: string;
  description: string;
  aliases: string[];
  unlisted: boolean;
  state: ModelState;
  group: string;
  kind: Kind | null;
  capabilities: { in: string[]; out: string[]; tools: boolean; reranker: boolean; context: number };
  port: number | null;
  pid: number | null;
  memory_bytes: number | null;
  load_seconds: number | null;
  progress: number | null;
  progress_message: string | null;
  ttl_seconds: number;
  ttl_left_seconds: number | null;
  serving: number;
  waiting: number;
  pinned: boolean;
  error: string | null;
  cmd: string;
  endpoint: string | null;
  would_unload: string[];
  tokens_per_second: number | null;
}

export type RequestState = 'waiting' | 'serving' | 'streaming' | 'finished';

export interface Flight {
  id: number;
  model: string;
  requested: string;
  path: string;
  client: string;
  state: RequestState;
  position: number | null;
  arrived_at: number;
  served_at: number | null;
  first_byte_at: number | null;
  response_bytes: number;
}

export type Severity = 'error' | 'warning' | 'note';

export interface Finding {
  severity: Severity;
  message: string;
  path: string;
  way_out: string;
  file?: string | null;
  line?: number | null;
  column?: number | null;
  place?: string | null;
}

export interface PortRow {
  port: number;
  model: string | null;
  group: string | null;
  state: string;
  pid: number | null;
  holder: string;
  note: string;
}
export interface PortRange {
  name: string;
  start: number;
  end: number;
  members: string[];
}
export interface PortReport {
  web: { hosts: string[]; port: number; url: string; state: string; pid: number | null; holder: string };
  ranges: PortRange[];
  ports: PortRow[];
  findings: Finding[];
}
export interface PortReason {
  port: number;
  state: string;
  sentence: string;
  reasons: string[];
}

export interface Changes {
  added: string[];
  removed: string[];
  restart: string[];
  soft: string[];
  kept: string[];
  settings: string[];
}
export interface ConfigDocument {
  yaml: string;
  hash: string;
  file: string;
  findings: Finding[];
  rejected: Finding[];
}
export interface ConfigCheck {
  ok: boolean;
  findings: Finding[];
  changes: Changes | null;
}
export interface Backup {
  name: string;
  at: number;
  bytes: number;
}

export interface ActivityRow {
  id: number;
  at: number;
  model: string;
  requested: string;
  path: string;
  status: number;
  stream: boolean;
  key: string | null;
  client: string;
  queue_seconds: number | null;
  load_seconds: number | null;
  first_token_seconds: number | null;
  total_seconds: number;
  prompt_tokens: number | null;
  cached_tokens: number | null;
  completion_tokens: number | null;
  prompt_per_second: number | null;
  tokens_per_second: number | null;
  error: string | null;
  has_capture: boolean;
}
export interface ActivityPage {
  data: ActivityRow[];
  page: number;
  limit: number;
  total: number;
  total_pages: number;
}

export interface Swap {
  model: string;
  at: number;
  reason: string;
  evicted: string[];
  phases: Partial<
    Record<
      'queued_seconds' | 'drain_seconds' | 'stop_seconds' | 'spawn_seconds' | 'load_seconds' | 'first_token_seconds',
      number | null
    >
  >;
  total_seconds: number;
  error: string | null;
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}
export interface ModelStats {
  requests: number;
  errors: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  first_token_seconds: Percentiles | null;
  tokens_per_second: Percentiles | null;
  prompt_per_second: Percentiles | null;
  loads: number;
  load_seconds_total: number;
}
export interface Stats {
  requests: number;
  errors: number;
  prompt_tokens: number;
  completion_tokens: number;
  models: Record<string, ModelStats>;
}

export interface Sample {
  at: number;
  cpu_percent: number;
  memory_total_bytes: number;
  memory_available_bytes: number;
  gpus: { index: number; name: string; total_bytes: number | null; free_bytes: number | null }[];
}

export interface LogLine {
  at: number | null;
  level: string | null;
  text: string;
}
export interface LogEvent extends LogLine {
  source: string;
}

export interface Gpu {
  index: number;
  name: string;
  vendor: string;
  total_bytes: number;
  free_bytes: number;
  unified: boolean;
}
export interface Hardware {
  cpu: Record<string, unknown>;
  memory: { total_bytes: number; available_bytes: number };
  gpus: Gpu[];
  notes: string[];
}

export interface DoctorCheck {
  name: string;
  ok: boolean;
  message: string;
  way_out: string;
}
export type Scope = 'inference' | 'read' | 'admin';
export interface ApiKey {
  name: string;
  scopes: Scope[];
  models: string[] | null;
  created_at: number;
  expires_at: number | null;
  expired: boolean;
}
export interface Keys {
  keys: ApiKey[];
  config_keys: number;
}

export interface BrowsePage {
  path: string;
  parent: string | null;
  folders: { name: string; path: string; models: number }[];
  roots: (string | { name?: string; path: string })[];
}
export interface ScannedModel {
  id: string;
  kind: string | null;
  quantization: string | null;
  size_bytes: number;
  context: number | null;
  placement: string;
  group: string | null;
  port: number | null;
  reasons: string[];
  fit: { what: string; bytes: number; where: string }[];
}
export interface ScanResult {
  models: ScannedModel[];
  left_out: { path: string; reason: string }[];
  hardware: Hardware;
  yaml: string;
  diff: string;
}
export interface SetupOptions {
  backend?: string;
  vram_gb?: number;
  ram_gb?: number;
  context?: number;
  parallel?: number;
  auto_draft?: boolean;
}
