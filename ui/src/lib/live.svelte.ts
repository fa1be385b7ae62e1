/** Which values does every page share, and how are they kept true? The snapshot, and the stream that changes it. */
import { json, onRefused, setApiKey } from './api/client';
import { Connection, type Status } from './api/connection';
import type { Finding, Flight, Group, Model, PortReport } from './api/types';
import { byId, withFlight, withModel, withVictims } from './live';

type Listener = (data: never) => void;
const HIDDEN_SECONDS = 60;
const TOPICS = 'model,models,profile,request,swap,ports,config,activity,performance,download,setup,node';

class Live {
  models: Model[] = $state.raw([]);
  /** False until the first list of models arrived. */
  loaded = $state(false);
  /** When each model was last heard of, in milliseconds; the base of its ttl countdown. */
  heardAt: Record<string, number> = {};
  /** The rules of each group, by name. */
  groups: Record<string, Group> = $state.raw({});
  flights: Flight[] = $state.raw([]);
  /** The port that each model is planned for or has. */
  ports: Record<string, number> = $state.raw({});
  rejected: Finding[] = $state.raw([]);
  status: Status = $state('connecting');
  retryAt: number | null = $state(null);
  version = $state('');
  locked = $state(false);

  #listeners = new Map<string, Set<Listener>>();
  #connection = new Connection(`/api/stream?topics=${TOPICS}`, {
    status: (status, retryAt) => this.#changed(status, retryAt),
    event: ({ event, data }) => this.#heard(event, data),
  });

  start(): void {
    onRefused(() => (this.locked = true));
    this.#connection.start();
    addEventListener('online', () => this.hurry());
    let hidden: ReturnType<typeof setTimeout> | undefined;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#connection.pause(), HIDDEN_SECONDS * 1000);
      else if (this.status === 'paused' || this.status === 'lost') this.#connection.start();
    });
  }

  /** Tries to reconnect at once. */
  hurry(): void {
    if (this.status !== 'live') this.#connection.start();
  }

  unlock(key: string): void {
    setApiKey(key);
    this.locked = false;
    this.#connection.start();
    this.#tell('resync', {});
  }

  /** Calls `listener` for every event of a type; returns how to end that. `resync` means: fetch again what you show. */
  on<T>(type: string, listener: (data: T) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener as Listener));
    return () => void listeners.delete(listener as Listener);
  }

  model(id: string): Model | undefined {
    return this.models.find((each) => each.id === id) ?? this.models.find((each) => each.aliases.includes(id));
  }

  /** Takes an answer of the server as news about a model. */
  take(model: Model): void {
    this.heardAt[model.id] = Date.now();
    this.models = withModel(this.models, model);
  }

  async refresh(): Promise<void> {
    try {
      // All at once: while one is waited for, events would make the others old.
      const [models, requests, ports] = await Promise.all([
        json<{ models: Model[]; groups: Record<string, Group> }>('/api/models'),
        json<{ requests: Flight[] }>('/api/requests'),
        json<PortReport>('/api/ports'),
      ]);
      for (const model of models.models) this.heardAt[model.id] = Date.now();
      this.ports = Object.fromEntries(ports.ports.flatMap((row) => (row.model ? [[row.model, row.port]] : [])));
      this.groups = models.groups;
      this.models = models.models.sort(byId);
      this.flights = requests.requests;
      this.loaded = true;
    } catch {
      // The connection says what is wrong, and its next success comes back here.
    }
  }

  #changed(status: Status, retryAt: number | null): void {
    const back = status === 'live';
    this.status = status;
    this.retryAt = retryAt;
    this.locked = status === 'locked' || (this.locked && !back);
    if (back) {
      void this.refresh();
      this.#tell('resync', {});
    }
  }

  #heard(type: string, text: string): void {
    const data: unknown = JSON.parse(text);
    if (type === 'hello') this.version = (data as { version: string }).version;
    else if (type === 'model') this.#heardOf(data as Model);
    else if (type === 'request') this.flights = withFlight(this.flights, data as Flight);
    else if (type === 'models' || type === 'resync') void this.refresh();
    else if (type === 'config') this.rejected = (data as { rejected?: Finding[] }).rejected ?? [];
    this.#tell(type, data);
  }

  /** The server tells a model's own changes; what loading others would unload follows from which ones run. */
  #heardOf(model: Model): void {
    const before = this.models.find((each) => each.id === model.id);
    this.take(model);
    if ((before?.state ?? 'stopped') === 'stopped' ? model.state !== 'stopped' : model.state === 'stopped')
      void this.#askWhatWouldGo();
  }

  async #askWhatWouldGo(): Promise<void> {
    try {
      const { models } = await json<{ models: Model[] }>('/api/models');
      this.models = withVictims(this.models, models);
    } catch {
      // As in refresh().
    }
  }

  #tell(type: string, data: unknown): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(data as never);
  }
}

export const live = new Live();
