import { describe, expect, it } from 'vitest';
import type { Download, DownloadPlan, Variant } from '../api/types';
import { besides, goesOn, obstacle, ordered, percent, progressLine, withDownload } from './downloads';

function download(id: string, more: Partial<Download> = {}): Download {
  return {
    id,
    ref: 'org/repo:Q4_K_M',
    repo: 'org/repo',
    page: 'https://huggingface.co/org/repo',
    quantization: 'Q4_K_M',
    folder: '/models',
    status: 'downloading',
    error: null,
    error_code: null,
    note: null,
    models: [],
    files: [],
    total_bytes: 4 * 1024 ** 3,
    done_bytes: 1024 ** 3,
    bytes_per_second: null,
    eta_seconds: null,
    quiet_seconds: null,
    created_at: 0,
    ended_at: null,
    removed: false,
    ...more,
  };
}

function variant(quantization: string, more: Partial<Variant> = {}): Variant {
  return {
    ref: `org/repo/x-${quantization}.gguf`,
    label: quantization,
    quantization,
    file: `x-${quantization}.gguf`,
    shards: 1,
    missing: 0,
    bytes: 1000,
    fit: 'memory',
    chosen: false,
    ...more,
  };
}

function plan(variants: Variant[], more: Partial<DownloadPlan> = {}): DownloadPlan {
  return {
    ref: 'org/repo',
    repo: 'org/repo',
    quantization: 'Q4_K_M',
    folder: '/models',
    files: [],
    total_bytes: 1200,
    free_bytes: 2000,
    fit: 'memory',
    variants,
    ...more,
  };
}

describe('the list', () => {
  it('takes in what is heard, whether it knew it or not', () => {
    const known = [download('a'), download('b')];
    expect(withDownload(known, download('b', { done_bytes: 7 })).map((each) => each.done_bytes)).toEqual([
      1024 ** 3,
      7,
    ]);
    expect(withDownload(known, download('c')).map((each) => each.id)).toEqual(['a', 'b', 'c']);
    expect(withDownload(known, download('a', { removed: true })).map((each) => each.id)).toEqual(['b']);
  });

  it('shows what goes on first, then what needs somebody, then what is done', () => {
    const list = [
      download('done', { status: 'finished', created_at: 9 }),
      download('failed', { status: 'failed', created_at: 1 }),
      download('first', { created_at: 2 }),
      download('second', { status: 'queued', created_at: 3 }),
    ];
    expect(ordered(list).map((each) => each.id)).toEqual(['second', 'first', 'failed', 'done']);
    expect(goesOn(download('x', { status: 'paused' }))).toBe(false);
  });
});

describe('progress', () => {
  it('says what is known and nothing else', () => {
    expect(progressLine(download('a'))).toBe('1.0 GiB of 4.0 GiB');
    expect(progressLine(download('a', { bytes_per_second: 2 * 1024 ** 2, eta_seconds: 90.2 }))).toBe(
      '1.0 GiB of 4.0 GiB · 2.0 MiB/s · 1 min 31 s left',
    );
    expect(progressLine(download('a', { quiet_seconds: 12 }))).toBe('1.0 GiB of 4.0 GiB · nothing has come for 12 s');
    expect(progressLine(download('a', { status: 'finished' }))).toBe('4.0 GiB');
  });

  it('is full only at the end', () => {
    expect(percent(download('a'))).toBe(25);
    expect(percent(download('a', { total_bytes: 1000, done_bytes: 999 }))).toBe(99);
    expect(percent(download('a', { total_bytes: 0, done_bytes: 0 }))).toBe(100);
  });
});

describe('a plan', () => {
  const chosen = variant('Q4_K_M', { chosen: true });

  it('counts the projector beside every variant', () => {
    expect(besides(plan([chosen]))).toBe(200);
    expect(besides(plan([variant('Q8_0')]))).toBe(0);
  });

  it('tells what stands in the way', () => {
    expect(obstacle(plan([chosen]), undefined)).toBe('Choose one of them.');
    expect(obstacle(plan([chosen]), chosen)).toBe('');
    expect(obstacle(plan([chosen], { free_bytes: 1100 }), chosen)).toBe('It needs 1.2 KiB, and 1.1 KiB are free.');
    const torn = variant('Q8_0', { shards: 3, missing: 1 });
    expect(obstacle(plan([chosen]), torn)).toBe('1 of its 3 files are not on the hub.');
  });

  it('says whether it fits', () => {});
});
