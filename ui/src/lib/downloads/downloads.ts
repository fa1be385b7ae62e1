/** What do downloads say, in words and numbers? Pure. */
import type { Download, DownloadPlan, Variant } from '../api/types';
import { bytes, duration } from '../format';

/** Takes in what was heard about one download; one that was removed goes. */
export function withDownload(downloads: readonly Download[], heard: Download): Download[] {
  const index = downloads.findIndex((each) => each.id === heard.id);
  if (heard.removed) return downloads.filter((each) => each.id !== heard.id);
  return index < 0 ? [...downloads, heard] : downloads.map((each, at) => (at === index ? heard : each));
}

/** What goes on comes first, then the newest. */
export function ordered(downloads: readonly Download[]): Download[] {
  const rank = (download: Download) => (goesOn(download) ? 0 : download.status === 'finished' ? 2 : 1);
  return [...downloads].sort((a, b) => rank(a) - rank(b) || b.created_at - a.created_at);
}

export function goesOn(download: Download): boolean {
  return download.status === 'queued' || download.status === 'downloading' || download.status === 'checking';
}

export function percent(download: Download): number {
  return download.total_bytes ? Math.floor((100 * download.done_bytes) / download.total_bytes) : 100;
}

/** "1.2 GiB of 4.6 GiB · 35.1 MiB/s · 1 min 37 s left", as far as each is known. */
export function progressLine(download: Download): string {
  if (download.status === 'finished') return bytes(download.total_bytes);
  const parts = [`${bytes(download.done_bytes)} of ${bytes(download.total_bytes)}`];
  if (download.bytes_per_second) parts.push(`${bytes(download.bytes_per_second)}/s`);
  if (download.quiet_seconds != null) parts.push(`nothing has come for ${duration(download.quiet_seconds)}`);
  if (download.eta_seconds != null) parts.push(`${duration(Math.ceil(download.eta_seconds))} left`);
  return parts.join(' · ');
}

export const STATUS_COLOUR: Record<Download['status'], string> = {
  queued: '',
  downloading: 'info',
  checking: 'info',
  paused: 'warn',
  finished: 'ok',
  failed: 'bad',
};

/** Bytes that come along with whichever variant is chosen: its projector. */
export function besides(plan: DownloadPlan): number {
  const chosen = plan.variants.find((variant) => variant.chosen);
  return chosen ? plan.total_bytes - chosen.bytes : 0;
}

/** Why a variant cannot be fetched now; empty when it can. */
export function obstacle(plan: DownloadPlan, variant: Variant | undefined): string {
  if (!variant) return 'Choose one of them.';
  if (variant.missing) return `${variant.missing} of its ${variant.shards} files are not on the hub.`;
  const size = variant.bytes + besides(plan);
  return size > plan.free_bytes ? `It needs ${bytes(size)}, and ${bytes(plan.free_bytes)} are free.` : '';
}
