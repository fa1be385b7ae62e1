/** What do engines, and builds on their way, say in words? And is one missing here? Pure. */
import type { EngineJobView, EnginePlanView, EnginesView } from '../api/schema';
import { bytes } from '../format';

export const BACKENDS: Record<string, string> = {
  cpu: 'CPU',
  vulkan: 'Vulkan',
  cuda: 'CUDA',
  rocm: 'ROCm',
  sycl: 'SYCL',
  metal: 'Metal',
  openvino: 'OpenVINO',
};
export const backendName = (backend: string) => BACKENDS[backend] ?? backend;

const STAGES: Record<EngineJobView['stage'], string> = {
  waiting: 'Waiting for another installation',
  asking: 'Asking which build suits this machine',
  downloading: 'Downloading',
  checking: 'Checking what was fetched',
  unpacking: 'Unpacking',
  building: 'Compiling',
  trying: 'Trying whether it runs here',
  finished: 'Installed',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

/** "llama.cpp b11434, Vulkan"; what is not chosen yet is left out. */
export function titleOf({ name, version, backend }: { name: string; version: string; backend: string }): string {
  return `${[name, version].filter(Boolean).join(' ')}${backend ? `, ${backendName(backend)}` : ''}`;
}

export function stageOf(job: EngineJobView): string {
  const far = job.stage === 'downloading' && job.total_bytes;
  return far ? `${STAGES.downloading}: ${bytes(job.done_bytes)} of ${bytes(job.total_bytes)}` : STAGES[job.stage];
}

export function percentOf({ stage, done_bytes: done, total_bytes: total, fraction }: EngineJobView): number {
  if (stage === 'building') return Math.floor(100 * (fraction ?? 0));
  if (stage === 'asking' || stage === 'waiting' || !total) return 0;
  return stage === 'downloading' ? Math.floor((100 * done) / total) : 100;
}

/** Takes in what was heard of a job; the newest is the last. */
export function withJob(view: EnginesView | null, job: EngineJobView): EnginesView | null {
  if (!view) return view;
  const known = view.jobs.some(({ id }) => id === job.id);
  const jobs = known ? view.jobs.map((each) => (each.id === job.id ? job : each)) : [...view.jobs, job];
  return { ...view, jobs };
}

/** Those that a person should see: under way, or failed and nothing was begun since. */
export function shownJobs(jobs: readonly EngineJobView[], dismissed: ReadonlySet<string>): EngineJobView[] {
  const last = jobs.at(-1);
  return jobs.filter((job) => !job.ended || (job === last && job.stage === 'failed' && !dismissed.has(job.id)));
}

export type Need = 'none' | 'engine' | 'gpu';

/** What is missing here: an engine, or one that knows the graphics device; the plan may still say that none suits. */
export function needOf(view: EnginesView | null, devices: number): Need {
  if (!view) return 'none';
  if (!view.active) return 'engine';
  const used = view.engines.find(({ id }) => id === view.active_id);
  const slow = view.active.kind === 'embedded' || used?.backend === 'cpu';
  return devices > 0 && slow ? 'gpu' : 'none';
}

/** The offer in a sentence; empty where there is none. */
export function offerOf(need: Need, plan: EnginePlanView | null): string {
  if (!plan || need === 'none' || (need === 'gpu' && plan.backend === 'cpu')) return '';
  const device = plan.devices[0];
  const build = `the ${backendName(plan.backend)} build, ${bytes(plan.total_bytes)}`;
  if (need === 'gpu') return `Your ${device ?? 'graphics device'} is idle: install ${build}`;
  return `No engine yet: install ${build}`;
}

/** With what models are run, where it is no installed build; empty where one is used. */
export function runWith({ active, engines }: EnginesView): string {
  if (active?.kind === 'used') return '';
  const none = engines.length ? '' : 'No build is installed. ';
  if (!active) return none.trim();
  if (active.kind === 'embedded') return `${none}Models are run with the embedded engine now.`;
  const why = active.kind === 'configured' ? 'which the configuration names' : 'which was found on PATH';
  return `${none}Models are run with ${active.path} now, ${why}.`;
}
