/** What has gone wrong with getting a model, and what is the way out? Pure. */
import { ApiError, sentence } from '../api/errors';
import type { Download } from '../api/types';

export interface Trouble {
  title: string;
  /** What the server says: it names the culprit. */
  words: string;
  /** What a person can do about it. */
  way: string;
  /** Whether the hub wants to know who we are: a token is asked for here. */
  wantsToken: boolean;
  /** Whether it goes on by itself as soon as that is over. */
  passing: boolean;
  /** Nothing has failed that a person has asked for. */
  calm?: boolean;
}

const KINDS: Record<string, { title: string; way: string }> = {
  hub_unreachable: {
    title: 'The hub cannot be reached',
    way: 'Check the network (a proxy is taken from HTTPS_PROXY, a mirror from HF_ENDPOINT) and try again; or use a folder with model files that are here already.',
  },
  disk_full: {
    title: 'There is not enough room on the disk',
    way: 'Delete what you do not need and try again, or take a smaller model. Another folder is set by downloadDir in the configuration.',
  },
  gated_model: {
    title: 'This model wants to know who you are',
    way: 'Ask for access on its page on the hub, make a token there, and put it here. Or take another model: most are open to everybody.',
  },
  not_on_hub: { title: 'The hub has no such model', way: 'Look for it by a part of its name.' },
  not_in_repository: {
    title: 'There is no model file of that kind',
    way: 'Choose another repository: GGUF files are needed.',
  },
  folder_unusable: {
    title: 'The folder cannot be written to',
    way: 'Give this user the right to write there, or name another folder with downloadDir in the configuration.',
  },
};
const OTHER = { title: 'That did not work', way: 'Try again, or take another model.' };

function trouble(code: string, words: string, passing = false): Trouble {
  return { ...(KINDS[code] ?? OTHER), words, wantsToken: code === 'gated_model', passing };
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ApiError && error.offline)
    return {
      ...trouble('', error.message),
      title: 'ClaraCore cannot be reached',
      way: 'Is it still running? Try again.',
    };
  return trouble(error instanceof ApiError ? error.code : '', sentence(error));
}

/** What hinders a download, while it goes on or since it has failed; null when nothing does. */
export function troubleWith(download: Download): Trouble | null {
  if (!download.error) return null;
  return trouble(download.error_code ?? '', download.error, download.status !== 'failed');
}
