/** What does a tuning tell, line by line, and how is that said? The lines are those of `claracore tune --json`. */
import { duration, rate } from '../format';

export interface TuneSpeeds {
  /** Tokens per second; null where the model did not run. */
  reading: number | null;
  /** Null for a model that writes nothing, too. */
  writing: number | null;
  /** How long a typical answer takes. */
  answer_seconds: number | null;
}

export type TuneSettings = Record<string, number | boolean>;

export interface TuneTrial extends TuneSpeeds {
  what: 'trial';
  number: number;
  settings: TuneSettings;
  words: string;
  failure: string;
}

export interface TuneResult {
  what: 'result';
  settings: TuneSettings;
  words: string;
  before: TuneSpeeds;
  after: TuneSpeeds;
  /** The part of a typical answer's time that the best saves. */
  saves: number;
  trials: number;
  complete: boolean;
  failure: string;
}

export type TuneLine =
  | { what: 'note' | 'error'; message: string }
  | { what: 'trying'; number: number; settings: TuneSettings; words: string }
  | TuneTrial
  | TuneResult;

/** Yields the lines of a response as they arrive. */
export async function* tuneLines(response: Response): AsyncGenerator<TuneLine> {
  if (!response.body) return;
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line) yield JSON.parse(line) as TuneLine;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** How much longer or shorter a typical answer takes than as configured: `-12 %`; nothing where that is not known. */
export function difference(trial: TuneSpeeds, first: TuneSpeeds | undefined): string {
  if (!trial.answer_seconds || !first?.answer_seconds || trial === first) return '';
  const part = Math.round((trial.answer_seconds / first.answer_seconds - 1) * 100);
  return part ? `${part > 0 ? '+' : '−'}${Math.abs(part)} %` : '±0 %';
}

function words({ reading, writing }: TuneSpeeds): string {
  const read = `reads ${rate(reading)}`;
  return writing === null ? `${read} tokens/s` : `${read} and writes ${rate(writing)} tokens/s`;
}

/** What stands above the settings in the configuration. */
export function note({ before, after }: TuneResult): string {
  return `${words(after)} (before: ${words(before)})`;
}

/** Whether there is something to write. */
export function isBetter({ settings, before }: TuneResult): boolean {
  return before.reading !== null && Object.keys(settings).length > 0;
}

export function conclusion(result: TuneResult): string {
  if (result.before.reading === null) {
    return `The model does not run as it is configured: ${result.failure || 'nothing was measured'}`;
  }
  if (result.trials === 1) return 'There was no time to try anything else: give it more.';
  if (!isBetter(result)) return 'Best as configured: nothing that was tried is notably faster.';
  const saved = `a typical answer takes ${Math.round(result.saves * 100)} % less time`;
  return `Best: ${result.words}. So ${saved} (${duration(result.after.answer_seconds)}).`;
}
