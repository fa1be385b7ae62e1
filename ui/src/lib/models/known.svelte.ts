/** What is known of models beside their state: what their files say, how fast they answered. For who shows it. */
import { json, snapshot } from '../api/client';
import { Followed } from '../api/followed';
import type { ActivityRow, ModelFiles } from '../api/types';
import { live } from '../live.svelte';

/** As many as the server tells. */
export const KEPT_SPEEDS = 24;
/** What is shown is not held up for longer. */
const PATIENCE_MS = 1000;
/** As the server: an answer of fewer tokens says little. */
const LEAST_TOKENS = 4;

type Speeds = Record<string, readonly number[]>;

class Known {
  files: Record<string, ModelFiles> = $state.raw({});
  /** Tokens per second of each model's last answers, the oldest first. */
  speeds: Speeds = $state.raw({});
  /** Whether it need not be waited for any more. */
  settled = $state(false);

  // The connection says what is wrong with an answer that fails, and its next success asks again.
  #answers = new Followed<Speeds, ActivityRow>({
    ask: async () => {
      const { value, known } = await snapshot<{ models: Speeds }>('/api/speeds');
      return { value: value.models, known };
    },
    now: () => this.speeds,
    change: withAnswer,
    show: (speeds) => (this.speeds = speeds),
  });
  #watchers = 0;
  #ends: (() => void)[] = [];

  /** Keeps both true until the function is called that this returns. */
  watch(): () => void {
    if (!this.#watchers++) {
      let answers = 0;
      const asked = () => {
        if ((answers += 1) === 2) this.settled = true;
      };
      const files = () => void this.#lookAtFiles();
      this.#ends = [
        live.on('models', files),
        live.on('resync', files),
        live.follow(['activity'], this.#answers, asked),
      ];
      setTimeout(() => (this.settled = true), PATIENCE_MS);
      void this.#lookAtFiles().then(asked);
    }
    return () => {
      if (!--this.#watchers) this.#ends.forEach((end) => end());
    };
  }

  async #lookAtFiles(): Promise<void> {
    try {
      this.files = (await json<{ models: Record<string, ModelFiles> }>('/api/model-files')).models;
    } catch {
      // As above.
    }
  }
}

function withAnswer(
  speeds: Speeds,
  { model, tokens_per_second: speed, completion_tokens: tokens }: ActivityRow,
): Speeds {
  if (speed === null || (tokens ?? 0) < LEAST_TOKENS) return speeds;
  return { ...speeds, [model]: [...(speeds[model] ?? []), speed].slice(-KEPT_SPEEDS) };
}

export const known = new Known();
