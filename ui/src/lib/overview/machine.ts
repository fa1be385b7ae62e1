/** What is told of the machine in a few words? Pure. */
import type { Sample } from '../api/types';

export type GpuSample = Sample['gpus'][number];

/** More cards than this are told together. */
const TOLD_ALONE = 3;

export interface Reading {
  /** Which card, or how many. */
  name: string;
  title: string;
  /** What is told of it, the busiest first; empty where its driver says nothing. */
  parts: string[];
}

const whole = (value: number) => Math.round(value).toString();

/** Each card's use, temperature and power; of many cards, the sums and the hottest. */
export function readings(gpus: readonly GpuSample[]): Reading[] {
  if (gpus.length <= TOLD_ALONE) return gpus.map(one);
  const told = (pick: (gpu: GpuSample) => number | null) => gpus.flatMap((gpu) => pick(gpu) ?? []);
  const busy = told((gpu) => gpu.busy_percent);
  const hot = told((gpu) => gpu.temperature_celsius);
  const power = told((gpu) => gpu.power_watts);
  const sum = (values: number[]) => values.reduce((all, each) => all + each, 0);
  const parts = [
    busy.length ? `${whole(sum(busy) / busy.length)} %` : '',
    hot.length ? `up to ${whole(Math.max(...hot))} °C` : '',
    power.length ? `${whole(sum(power))} W` : '',
  ];
  return [
    { name: `${gpus.length} GPUs`, title: gpus.map(({ name }) => name).join(', '), parts: parts.filter(Boolean) },
  ];
}

function one({ index, name, busy_percent: busy, temperature_celsius: hot, power_watts: power }: GpuSample): Reading {
  const parts = [
    busy == null ? '' : `${whole(busy)} %`,
    hot == null ? '' : `${whole(hot)} °C`,
    power == null ? '' : `${whole(power)} W`,
  ];
  return { name: `GPU ${index}`, title: name, parts: parts.filter(Boolean) };
}
