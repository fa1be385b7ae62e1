import { describe, expect, it } from 'vitest';
import { type GpuSample, readings } from './machine';

const gpu = (index: number, more: Partial<GpuSample> = {}): GpuSample => ({
  index,
  name: `Card ${index}`,
  total_bytes: 1,
  free_bytes: 1,
  busy_percent: 50,
  temperature_celsius: 60 + index,
  power_watts: 200.4,
  ...more,
});

describe('what is told of graphics devices', () => {
  it('is use, temperature and power of each', () => {
    expect(readings([gpu(0), gpu(1, { busy_percent: null })])).toEqual([
      { name: 'GPU 0', title: 'Card 0', parts: ['50 %', '60 °C', '200 W'] },
      { name: 'GPU 1', title: 'Card 1', parts: ['61 °C', '200 W'] },
    ]);
  });
  it('is their sum where there are many', () => {
    const [told] = readings([0, 1, 2, 3].map((index) => gpu(index)));
    expect(told).toMatchObject({ name: '4 GPUs', parts: ['50 %', 'up to 63 °C', '802 W'] });
  });
  it('is nothing where drivers say nothing', () => {
    const silent = { busy_percent: null, temperature_celsius: null, power_watts: null };
    expect(readings([gpu(0, silent)])[0]!.parts).toEqual([]);
    expect(readings([])).toEqual([]);
  });
});
