/** Which engines are installed, and what is on its way? One list for whoever shows it, kept true by events. */
import { ask, json, snapshot } from '../api/client';
import { Followed } from '../api/followed';
import type { EngineJobView, EnginePlanView, EnginesCheckView, EnginesView, InstalledView } from '../api/schema';
import { live } from '../live.svelte';
import { notices } from '../notices.svelte';
import { titleOf, withJob } from './engines';

class Rack {
  view: EnginesView | null = $state.raw(null);
  /** Failures that a person has read. */
  dismissed: ReadonlySet<string> = $state.raw(new Set<string>());

  // The connection says what is wrong with an answer that fails, and its next success asks again.
  #followed = new Followed<EnginesView | null, EngineJobView>({
    ask: () => snapshot('/api/engines'),
    now: () => this.view,
    change: withJob,
    show: (view) => (this.view = view),
  });

  /** Keeps `view` true until the function is called that this returns. */
  watch(): () => void {
    const ends = [
      live.follow(['engine'], this.#followed),
      live.on('engines', () => void this.#followed.refresh()),
      live.on<EngineJobView>('engine', (job) => job.ended && void this.#followed.refresh()),
    ];
    return () => ends.forEach((end) => end());
  }

  plan(): Promise<EnginePlanView> {
    return json('/api/engines/plan', { method: 'POST', body: {} });
  }

  check(): Promise<EnginesCheckView> {
    return json('/api/engines/check', { method: 'POST' });
  }

  /** Begins a build, which is used when it is there; it goes on by itself. */
  async begin(action: 'install' | 'update', use: boolean | null = true): Promise<void> {
    const job = await json<EngineJobView>(`/api/engines/${action}`, { method: 'POST', body: { use } });
    this.view = withJob(this.view, job);
  }

  async cancel(job: EngineJobView): Promise<void> {
    if (job.ended) this.dismissed = new Set([...this.dismissed, job.id]);
    else await ask(`/api/engines/jobs/${encodeURIComponent(job.id)}`, { method: 'DELETE' });
  }

  async use(engine: InstalledView): Promise<void> {
    await json<InstalledView>('/api/engines/use', { method: 'POST', body: { id: engine.id } });
    notices.say(`${titleOf(engine)} is in use: the next start of each model takes it`);
    await this.#followed.refresh();
  }

  async remove(engine: InstalledView): Promise<void> {
    await ask(`/api/engines/${encodeURIComponent(engine.id)}`, { method: 'DELETE' });
    notices.say(`${titleOf(engine)} is removed`);
    await this.#followed.refresh();
  }
}

export const rack = new Rack();
