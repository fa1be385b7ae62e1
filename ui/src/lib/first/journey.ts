/** From one click to the first chat: at which of four steps is a model, and what is said of it? Pure. */
import type { Download, Model } from '../api/types';
import { progressLine } from '../downloads/downloads';
import { about } from '../format';

export const STEPS = ['Download', 'Set up', 'Load', 'Chat'] as const;

/** Between the last lines of a server, behind what is said of its end. */
const LINES = ' | ';

/** The last lines that a server has printed before it ended, as an error tells them; none where it tells none. */
export function lastLines(failure: string): string[] {
  return failure
    .split(LINES)
    .slice(1)
    .map((line) => line.trim());
}

/** What a person calls what is fetched: the repository, without whose it is. */
export function nameOf({ repo }: Download): string {
  return (
    repo
      .split('/')
      .at(-1)
      ?.replace(/[-_.]?gguf$/i, '') || repo
  );
}

export interface Stage {
  /** Index of the step that goes on; those before it are done. */
  step: 0 | 1 | 2 | 3;
  words: string;
  /** From 0 to 1; null while nobody can know. */
  share: number | null;
  /** Whether it stands still until a person does something. */
  stopped: boolean;
}

/** Where a model is on its way; `failure` is why it could not be loaded, if it could not. */
export function stageOf(download: Download, model: Model | undefined, failure: string): Stage {
  if (download.status !== 'finished') return fetching(download);
  if (!download.models.length)
    return { step: 1, words: capital(download.note ?? 'It is here, but no model.'), share: null, stopped: true };
  if (failure) return { step: 2, words: failure.split(LINES, 1)[0]!.trim(), share: null, stopped: true };
  if (model?.state === 'ready') return { step: 3, words: 'It is ready.', share: 1, stopped: false };
  const left = about(model?.expected_seconds);
  const words = model?.progress_message ?? `Loading it into memory${left ? `, ${left}` : ''}`;
  return { step: 2, words, share: model?.progress ?? null, stopped: false };
}

function fetching(download: Download): Stage {
  const share = download.total_bytes ? download.done_bytes / download.total_bytes : null;
  const line = progressLine(download);
  switch (download.status) {
    case 'failed':
      return { step: 0, words: line, share, stopped: true };
    case 'paused':
      return { step: 0, words: `Paused at ${line}`, share, stopped: true };
    case 'queued':
      return { step: 0, words: 'Waiting for its turn', share, stopped: false };
    case 'checking':
      return { step: 0, words: 'Checking that every byte is right', share: null, stopped: false };
    default:
      return share === 1
        ? { step: 1, words: 'Choosing context and memory for this machine', share: null, stopped: false }
        : { step: 0, words: line, share, stopped: false };
  }
}

/** Which download is on its way to the first chat: the one that was begun here, else the newest that is not done. */
export function followed(downloads: readonly Download[], begun: string | null, first: boolean): Download | undefined {
  const own = downloads.find((each) => each.id === begun);
  if (own || !first) return own;
  return downloads.filter((each) => each.status !== 'finished').sort((a, b) => b.created_at - a.created_at)[0];
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
