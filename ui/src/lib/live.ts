/** What is true right now? The snapshot that events change, as pure functions; `live.svelte.ts` makes it reactive. */
import type { Flight, Model } from './api/types';
import { about } from './format';

/**
 * Puts one model in its place; unknown ones are added. The list stays sorted by id. Memory is measured less often than
 * the rest: news without it keep what is known of the same process.
 */
export function withModel(models: readonly Model[], model: Model): Model[] {
  const before = models.find((each) => each.id === model.id);
  const next = models.filter((each) => each !== before);
  const known = before && before.pid === model.pid ? before.memory_bytes : null;
  next.push({ ...model, memory_bytes: model.memory_bytes ?? known });
  return next.sort(byId);
}

/** Takes over what loading each model would unload, and nothing else: the answer may be older than the last event. */
export function withVictims(models: readonly Model[], fresh: readonly Model[]): Model[] {
  const told = new Map(
    fresh.map(({ id, would_unload, in_the_way, would_not_fit }) => [id, { would_unload, in_the_way, would_not_fit }]),
  );
  return models.map((model) => ({ ...model, ...told.get(model.id) }));
}

export function byId(a: { id: string }, b: { id: string }): number {
  return byText(a.id, b.id);
}

const counting = new Intl.Collator('en', { numeric: true });

/** As people order names: 1B, 3B, 10B. Two are the same only where every letter is. */
export function byText(a: string, b: string): number {
  return counting.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

export function withFlight(flights: readonly Flight[], flight: Flight): Flight[] {
  const rest = flights.filter((each) => each.id !== flight.id);
  return flight.state === 'finished' ? rest : [...rest, flight].sort((a, b) => a.id - b.id);
}

export interface Group {
  name: string;
  models: Model[];
}

/** Whether a model has all these words in its id, name, aliases, kind, state or group. */
export function matches(wanted: string): (model: Model) => boolean {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return (model) => {
    if (!words.length) return true;
    const text = [model.id, model.name, model.kind ?? '', model.state, model.group, ...model.aliases]
      .join(' ')
      .toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

/** Groups by name, then what is in none, then what others serve. */
export function grouped(models: readonly Model[]): Group[] {
  const groups = new Map<string, Model[]>();
  for (const model of models) {
    const members = groups.get(model.group);
    if (members) members.push(model);
    else groups.set(model.group, [model]);
  }
  const rank = (name: string) => ['(default)', '(peers)'].indexOf(name);
  return [...groups]
    .map(([name, members]) => ({ name, models: members }))
    .sort((a, b) => rank(a.name) - rank(b.name) || byText(a.name, b.name));
}

/** Seconds until the model is unloaded for idleness; null when it is busy, pinned, stopped or has no ttl. */
export function ttlLeft(model: Model, heardAtMs: number, nowMs: number): number | null {
  if (model.state !== 'ready' || model.pinned || model.ttl_left_seconds == null) return null;
  if (model.serving || model.waiting) return null;
  return Math.max(0, model.ttl_left_seconds - (nowMs - heardAtMs) / 1000);
}

/** Whether a model is being loaded, or waits for its turn. */
export function begun({ state, waits_for }: Model): boolean {
  return state === 'starting' || (state === 'stopped' && waits_for !== null);
}

/** What a person should know while waiting for a model's answer, in one sentence; the server says the cause. */
export function waitingFor(id: string, models: readonly Model[], flights: readonly Flight[]): string {
  const model = models.find((each) => each.id === id || each.aliases.includes(id));
  if (!model) return 'Waiting for the answer';
  const reason = waitReason(model, models);
  const place = flights.filter((flight) => flight.model === model.id && flight.state === 'waiting').at(-1)?.position;
  if (reason) return `${reason}${place && place > 1 ? ` (place ${place} in the queue)` : ''}`;
  if (model.state === 'starting') return loading(model);
  return model.state === 'ready' ? 'Reading the prompt' : `Starting ${nameOf(model)}`;
}

/** As a person knows it. */
export function nameOf(model: Pick<Model, 'id' | 'name'>): string {
  return model.name || model.id;
}

/** What the requests that wait for a model wait for, and what follows; empty when none waits, or for nothing that lasts. */
export function waitReason(model: Model, all: readonly Model[]): string {
  const reason = reasonToWait(model, all);
  const load = model.state === 'stopped' ? about(model.expected_seconds) : '';
  return reason && load ? `${reason}, then ${load}` : reason;
}

function reasonToWait(model: Model, all: readonly Model[]): string {
  if (!model.waits_for) return '';
  const { cause, models } = model.waits_for;
  const named = (id: string) => nameOf(all.find((each) => each.id === id) ?? { id, name: '' });
  const others = models.map(named).join(' and ');
  const own = nameOf(model);
  switch (cause) {
    case 'loading':
      return loading(model);
    case 'returning':
      return `${own} is ending and starts again right after`;
    case 'places':
      return `${own} answers as many requests as it may`;
    case 'answers':
      return `Queued behind ${others}, which ${models.length > 1 ? 'have' : 'has'} answers to give`;
    case 'loads':
      return `Queued behind ${others}, which ${models.length > 1 ? 'are' : 'is'} being loaded`;
    case 'unloading':
      return `Unloading ${others} to make room for ${own}`;
    case 'memory':
      return 'Waiting until memory of models that have ended is free';
    case 'preparing':
      return `Fetching what ${own} needs; what runs goes on meanwhile`;
    case 'turn':
      return `Queued behind ${others}, asked for earlier`;
  }
}

/** What a load is at, in a sentence. */
export function loading(model: Model): string {
  const percent = model.progress == null ? '' : ` ${Math.round(model.progress * 100)} %`;
  const message = loadMessage(model);
  const left = about(model.expected_seconds);
  return `Loading ${nameOf(model)}${percent}${message ? ` (${message})` : ''}${left ? `, ${left}` : ''}`;
}

/** What the engine says while it loads, unless that is only that it loads. */
export function loadMessage({ progress_message: message }: Model): string {
  return message && !/^loading model/i.test(message) ? message : '';
}
