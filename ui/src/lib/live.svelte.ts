/** Which values does every page share, and how are they kept true? The snapshot, and the stream that changes it. */
import { untrack } from 'svelte';
import { json, onRefused, setApiKey, snapshot } from './api/client';
import { Connection, type Status } from './api/connection';
import { Followed } from './api/followed';
import { type ListedModel, listedModels } from './api/listed';
import type { Finding, Flight, Group, Model, PortReport } from './api/types';
import { byId, withFlight, withModel, withVictims } from './live';

type Listener = (data: never, id: number | null) => void;
interface Greeting {
  version: string;
  last_id: number;
}
interface ModelList {
  models: Model[];
  groups: Record<string, Group>;
}
const HIDDEN_SECONDS = 60;
/** How often models are listed where no event tells of them. */
const LISTED_SECONDS = 10;
const TOPICS = 'model,models,profile,request,swap,ports,config,activity,performance,download,setup,node,engine,engines';

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
  /** Whether the dialog for keys is open. */
  locked = $state(false);
  /** Whether the key may use models, and not look at the server: then only what `/v1/models` lists is known. */
  limited = $state(false);
  /** Whether a key was typed here since the server last took one. */
  typed = $state(false);

  #listeners = new Map<string, Set<Listener>>();
  // The connection says what is wrong with answers that fail, and its next success asks again.
  #models = new Followed<ModelList, Model>({
    ask: async () => {
      const answer = await snapshot<ModelList>('/api/models');
      for (const { id } of answer.value.models) this.heardAt[id] = Date.now();
      answer.value.models.sort(byId);
      return answer;
    },
    now: () => ({ models: this.models, groups: this.groups }),
    change: ({ models, groups }, model) => ({ models: withModel(models, model), groups }),
    show: ({ models, groups }) => {
      this.models = models;
      if (groups !== this.groups) this.groups = groups;
    },
  });
  #flights = new Followed<readonly Flight[], Flight>({
    ask: async () => {
      const { value, known } = await snapshot<{ requests: Flight[] }>('/api/requests');
      return { value: value.requests, known };
    },
    now: () => this.flights,
    change: withFlight,
    show: (flights) => (this.flights = [...flights]),
  });
  #planned = new Followed<PortReport, never>({
    ask: () => snapshot('/api/ports'),
    show: ({ ports }) => {
      this.ports = Object.fromEntries(ports.flatMap((row) => (row.model ? [[row.model, row.port]] : [])));
    },
  });
  #connection = new Connection(`/api/stream?topics=${TOPICS}`, {
    status: (status, retryAt) => this.#changed(status, retryAt),
    event: ({ id, event, data }) => this.#heard(id === null ? null : Number(id), event, data),
  });

  start(): void {
    onRefused(() => (this.locked = true));
    this.#connection.start();
    addEventListener('online', () => this.hurry());
    setInterval(() => this.limited && !document.hidden && void this.#list(), LISTED_SECONDS * 1000);
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
    this.typed = true;
    this.#connection.start();
    this.#tell('resync', {});
  }

  /**
   * Calls `listener` for every event of a type, with the id of the event; returns how to end that. What an answer of the
   * server shows is kept true by `follow`.
   */
  on<T>(type: string, listener: (data: T, id: number | null) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener as Listener));
    return () => void listeners.delete(listener as Listener);
  }

  /**
   * Asks for something and keeps it true by the events of some types, until the function is called that this returns.
   * `asked` is called after the first answer, or the first failure.
   */
  follow<V, E>(types: readonly string[], followed: Followed<V, E>, asked: () => void = () => {}): () => void {
    const ends = [
      ...types.map((type) => this.on<E>(type, (event, id) => void followed.hear(event, id))),
      this.on<Greeting>('hello', ({ last_id }) => followed.follow(last_id)),
      this.on('resync', () => void followed.refresh()),
    ];
    // What it reads to ask is no reason to ask again.
    untrack(() => void followed.refresh().then(asked));
    return () => ends.forEach((end) => end());
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
    if (this.limited) return this.#list();
    await Promise.all([this.#refreshModels(), this.#flights.refresh(), this.#planned.refresh()]);
  }

  async #list(): Promise<void> {
    try {
      this.models = listedModels((await json<{ data: ListedModel[] }>('/v1/models')).data);
      this.loaded = true;
    } catch {
      // A question to a model says why it fails.
    }
  }

  async #refreshModels(): Promise<void> {
    if (await this.#models.refresh()) this.loaded = true;
  }

  #changed(status: Status, retryAt: number | null): void {
    const back = status === 'live';
    this.status = status;
    this.retryAt = retryAt;
    this.locked = status === 'locked' || (this.locked && !back && status !== 'limited');
    if (status === 'limited' || back || this.locked) this.limited = status === 'limited';
    if (back || this.limited) this.typed = false;
    if (status === 'limited') void this.#list();
    if (back) {
      void this.refresh();
      this.#tell('resync', {});
    }
  }

  #heard(id: number | null, type: string, text: string): void {
    const data: unknown = JSON.parse(text);
    if (type === 'hello') this.#greeted(data as Greeting);
    else if (type === 'model') this.#heardOf(data as Model, id);
    else if (type === 'request') this.#flights.hear(data as Flight, id);
    else if (type === 'models' || type === 'resync') void this.refresh();
    else if (type === 'config') this.rejected = (data as { rejected?: Finding[] }).rejected ?? [];
    this.#tell(type, data, id);
  }

  #greeted({ version, last_id }: Greeting): void {
    this.version = version;
    for (const each of [this.#models, this.#flights, this.#planned]) each.follow(last_id);
  }

  /** The server tells a model's own changes; what loading others would unload follows from which ones run. */
  #heardOf(model: Model, id: number | null): void {
    const before = this.models.find((each) => each.id === model.id);
    if (!this.#models.hear(model, id)) return;
    this.heardAt[model.id] = Date.now();
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

  #tell(type: string, data: unknown, id: number | null = null): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(data as never, id);
  }
}

export const live = new Live();
