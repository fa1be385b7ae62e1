/** How is a short series drawn on a few pixels? Pure. */
import { rate } from '../format';

export interface Spark {
  line: string;
  area: string;
  /** Where the last value is. */
  end: [number, number];
}

/** The points of a series from 0 to its largest value, in a box of so many units; the newest value is at the right. */
export function spark(values: readonly number[], width: number, height: number, places = values.length): Spark | null {
  if (!values.length) return null;
  const most = Math.max(...values, 1e-9);
  const step = width / Math.max(1, places - 1);
  const left = width - step * (values.length - 1);
  const points = values.map((value, index): [number, number] => [
    Math.round((left + index * step) * 10) / 10,
    Math.round((height - (value / most) * (height - 2) - 1) * 10) / 10,
  ]);
  const line = points.map((point) => point.join(',')).join(' ');
  const end = points.at(-1)!;
  return { line, area: `${points[0]![0]},${height} ${line} ${end[0]},${height}`, end };
}

/** The same in words. */
export function sparkWords(values: readonly number[]): string {
  if (values.length < 2) return values.length ? `${rate(values[0])} tokens/s` : '';
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `The last ${values.length} answers: ${rate(least)} to ${rate(most)} tokens/s`;
}
