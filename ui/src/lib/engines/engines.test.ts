import { describe, expect, it } from 'vitest';
import type { EngineJobView, EnginePlanView, EnginesView } from '../api/schema';
import { needOf, offerOf, percentOf, runWith, shownJobs, stageOf, titleOf, withJob } from './engines';

const job = (more: Partial<EngineJobView>) =>
  ({ id: 'j1', stage: 'downloading', ended: false, done_bytes: 0, total_bytes: 0, ...more }) as EngineJobView;
const view = (more: Partial<EnginesView>) =>
  ({ engines: [], active: null, active_id: null, jobs: [], ...more }) as unknown as EnginesView;
const plan = (more: Partial<EnginePlanView>) =>
  ({ backend: 'cpu', total_bytes: 12 << 20, devices: [], ...more }) as EnginePlanView;
const place = (kind: 'embedded' | 'used' | 'path') => ({ kind, path: '/x', problem: '' });

describe('what is missing', () => {
  it('is an engine where none runs', () => {
    expect(needOf(view({}), 0)).toBe('engine');
    expect(offerOf('engine', plan({}))).toBe('No engine yet: install the CPU build, 12.0 MiB');
  });
  it('is one for the graphics device where the engine does not know it', () => {
    expect(needOf(view({ active: place('embedded') }), 1)).toBe('gpu');
    expect(offerOf('gpu', plan({ backend: 'vulkan', devices: ['RTX 3090'], total_bytes: 34 << 20 }))).toBe(
      'Your RTX 3090 is idle: install the Vulkan build, 34.0 MiB',
    );
    const used = { id: 'a', backend: 'cpu' } as EnginesView['engines'][number];
    expect(needOf(view({ active: place('used'), active_id: 'a', engines: [used] }), 1)).toBe('gpu');
    expect(needOf(view({ active: place('used'), active_id: 'a', engines: [{ ...used, backend: 'cuda' }] }), 1)).toBe(
      'none',
    );
  });
  it('is nothing elsewhere, or where nothing better is published', () => {
    expect(needOf(view({ active: place('embedded') }), 0)).toBe('none');
    expect(needOf(view({ active: place('path') }), 2)).toBe('none');
    expect(needOf(null, 2)).toBe('none');
    expect(offerOf('gpu', plan({ backend: 'cpu' }))).toBe('');
    expect(offerOf('engine', null)).toBe('');
  });
});

describe('a build on its way', () => {
  it('says how far it is', () => {
    expect(stageOf(job({ done_bytes: 1 << 20, total_bytes: 4 << 20 }))).toBe('Downloading: 1.0 MiB of 4.0 MiB');
    expect(percentOf(job({ done_bytes: 1, total_bytes: 4 }))).toBe(25);
    expect(percentOf(job({ stage: 'trying', done_bytes: 4, total_bytes: 4 }))).toBe(100);
    expect(percentOf(job({ stage: 'asking' }))).toBe(0);
    expect(percentOf(job({ stage: 'building', fraction: 0.42 }))).toBe(42);
  });
  it('is called by what is known of it', () => {
    expect(titleOf({ name: 'llama.cpp', version: '', backend: '' })).toBe('llama.cpp');
    expect(titleOf({ name: 'llama.cpp', version: 'b1', backend: 'vulkan' })).toBe('llama.cpp b1, Vulkan');
  });
  it('takes the place of what was known of it', () => {
    const once = withJob(view({}), job({}));
    expect(withJob(once, job({ stage: 'failed' }))!.jobs.map(({ stage }) => stage)).toEqual(['failed']);
    expect(withJob(null, job({}))).toBe(null);
  });
  it('is shown while it goes on, and when it has failed until that was read', () => {
    const failed = job({ id: 'a', stage: 'failed', ended: true });
    expect(shownJobs([failed], new Set())).toEqual([failed]);
    expect(shownJobs([failed], new Set(['a']))).toEqual([]);
    expect(shownJobs([failed, job({ id: 'b' })], new Set()).map(({ id }) => id)).toEqual(['b']);
    expect(shownJobs([job({ stage: 'finished', ended: true })], new Set())).toEqual([]);
  });
});

describe('what models are run with', () => {
  it('is told where it is no installed build', () => {
    expect(runWith(view({}))).toBe('No build is installed.');
    expect(runWith(view({ active: place('embedded') }))).toBe(
      'No build is installed. Models are run with the embedded engine now.',
    );
    expect(runWith(view({ active: place('path') }))).toBe(
      'No build is installed. Models are run with /x now, which was found on PATH.',
    );
  });
  it('stands at the build itself where one is used', () => {
    expect(runWith(view({ active: place('used'), engines: [{ id: 'a' }] as EnginesView['engines'] }))).toBe('');
  });
});
