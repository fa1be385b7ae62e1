/** Which values does every page share, and how are they kept true? The snapshot, and the stream that changes it. */
import { json, onRefused, setApiKey, snapshot } from './api/client';
import { Connection, type Status } from './api/connection';
import { Join } from './api/join';
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
  #modelsJoin = new Join<{ id: number | null; data: Model }>();
  #flightsJoin = new Join<{ id: number | null; data: Flight }>();
  #connection = new Connection(`/api/stream?topics=${TOPICS}`, {
    status: (status, retryAt) => this.#changed(status, retryAt),
    event: ({ id, event, data }) => this.#heard(id === null ? null : Number(id), event, data),
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
    // At once; the connection says what is wrong with those that fail, and its next success comes back here.
    await Promise.allSettled([this.#refreshModels(), this.#refreshFlights(), this.#refreshPorts()]);
  }

  async #refreshModels(): Promise<void> {
    this.#modelsJoin.begin();
    try {
      const { value, known } = await snapshot<{ models: Model[]; groups: Record<string, Group> }>('/api/models');
      const newer = this.#modelsJoin.arrived(known);
      if (!newer) return;
      for (const model of value.models) this.heardAt[model.id] = Date.now();
      this.groups = value.groups;
      this.models = newer.reduce((models, { data }) => withModel(models, data), value.models.sort(byId));
      this.loaded = true;
    } catch (error) {
      this.#modelsJoin.failed();
      throw error;
    }
  }

  async #refreshFlights(): Promise<void> {
    this.#flightsJoin.begin();
    try {
      const { value, known } = await snapshot<{ requests: Flight[] }>('/api/requests');
      const newer = this.#flightsJoin.arrived(known);
      if (newer) this.flights = newer.reduce((flights, { data }) => withFlight(flights, data), value.requests);
    } catch (error) {
      this.#flightsJoin.failed();
      throw error;
    }
  }

  async #refreshPorts(): Promise<void> {
    const { ports } = await json<PortReport>('/api/ports');
    this.ports = Object.fromEntries(ports.flatMap((row) => (row.model ? [[row.model, row.port]] : [])));
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

  #heard(id: number | null, type: string, text: string): void {
    const data: unknown = JSON.parse(text);
    if (type === 'hello') this.#greeted(data as { version: string; last_id: number });
    else if (type === 'model') {
      if (this.#modelsJoin.hear({ id, data: data as Model })) this.#heardOf(data as Model);
    } else if (type === 'request') {
      if (this.#flightsJoin.hear({ id, data: data as Flight })) this.flights = withFlight(this.flights, data as Flight);
    } else if (type === 'models' || type === 'resync') void this.refresh();
    else if (type === 'config') this.rejected = (data as { rejected?: Finding[] }).rejected ?? [];
    this.#tell(type, data);
  }

  #greeted({ version, last_id }: { version: string; last_id: number }): void {
    this.version = version;
    this.#modelsJoin.follow(last_id);
    this.#flightsJoin.follow(last_id);
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
