/** What is known of models beside their state: what their files say, how fast they answered. For who shows it. */
import { json } from '../api/client';
import type { ActivityRow, ModelFiles } from '../api/types';
import { live } from '../live.svelte';

/** As many as the server tells. */
export const KEPT_SPEEDS = 24;
/** What is shown is not held up for longer. */
const PATIENCE_MS = 1000;
/** As the server: an answer of fewer tokens says little. */
const LEAST_TOKENS = 4;

class Known {
  files: Record<string, ModelFiles> = $state.raw({});
  /** Tokens per second of each model's last answers, the oldest first. */
  speeds: Record<string, readonly number[]> = $state.raw({});
  /** Whether it need not be waited for any more. */
  settled = $state(false);

  #watchers = 0;
  #ends: (() => void)[] = [];

  /** Keeps both true until the function is called that this returns. */
  watch(): () => void {
    if (!this.#watchers++) {
      const [files, speeds] = [() => void this.#lookAtFiles(), () => void this.#lookAtSpeeds()];
      this.#ends = [
        live.on('models', files),
        live.on('resync', files),
        live.on('resync', speeds),
        live.on<ActivityRow>('activity', (row) => this.#heard(row)),
      ];
      setTimeout(() => (this.settled = true), PATIENCE_MS);
      void Promise.all([this.#lookAtFiles(), this.#lookAtSpeeds()]).then(() => (this.settled = true));
    }
    return () => {
      if (!--this.#watchers) this.#ends.forEach((end) => end());
    };
  }

  #heard({ model, tokens_per_second: speed, completion_tokens: tokens }: ActivityRow): void {
    if (speed === null || (tokens ?? 0) < LEAST_TOKENS) return;
    const series = [...(this.speeds[model] ?? []), speed].slice(-KEPT_SPEEDS);
    this.speeds = { ...this.speeds, [model]: series };
  }

  async #lookAtFiles(): Promise<void> {
    try {
      this.files = (await json<{ models: Record<string, ModelFiles> }>('/api/model-files')).models;
    } catch {
      // The connection says what is wrong, and its next success comes back here.
    }
  }

  async #lookAtSpeeds(): Promise<void> {
    try {
      this.speeds = (await json<{ models: Record<string, number[]> }>('/api/speeds')).models;
    } catch {
      // As above.
    }
  }
}

export const known = new Known();
