/** What is known of the machine and the pace of answers, kept true by what comes: nothing is fetched twice. */
import { snapshot } from '../api/client';
import { Followed } from '../api/followed';
import type { ActivityRow, Pace, Sample } from '../api/types';
import { HOUR_SECONDS } from '../hour/hour';
import { withNews } from '../hour/pace';

/** The event types that change the pace. */
export const PACE_EVENTS = ['activity', 'performance'];

/** Samples of the last hour, or of the last seconds; of those that are known only what is newer is asked for. */
export function followedSamples(
  now: () => Sample[],
  show: (samples: Sample[]) => void,
  seconds = HOUR_SECONDS,
): Followed<Sample[], Sample> {
  const within = (samples: Sample[]) => samples.filter(({ at }) => at > samples.at(-1)!.at - seconds);
  const change = (samples: Sample[], sample: Sample) =>
    within([...samples.filter(({ at }) => at !== sample.at), sample]);
  // Sampling can be switched off (503); the connection says what else is wrong.
  return new Followed<Sample[], Sample>({
    ask: async () => {
      // The server keeps no more than an hour, and its clock need not be ours.
      const after = now().at(-1)?.at ?? (seconds < HOUR_SECONDS ? Date.now() / 1000 - seconds : 0);
      const { value, known } = await snapshot<{ samples: Sample[] }>(`/api/performance?after=${after}`);
      return { value: value.samples.reduce(change, now()), known };
    },
    now,
    change,
    show,
  });
}

/** Tokens per second and requests in so many equal steps of the last seconds. */
export function followedPace(
  span: { seconds: number; steps: number },
  now: () => Pace | null,
  show: (pace: Pace | null) => void,
): Followed<Pace | null, ActivityRow | Sample> {
  return new Followed<Pace | null, ActivityRow | Sample>({
    ask: () => snapshot(`/api/pace?seconds=${span.seconds}&steps=${span.steps}`),
    now,
    change: (pace, news) => pace && withNews(pace, news),
    show,
  });
}
