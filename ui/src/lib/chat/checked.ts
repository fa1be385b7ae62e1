/** Can a parameter have this value? Pure. */

interface Bounds {
  min?: number | undefined;
  max?: number | undefined;
}

/** What is wrong with it, in words; empty for what can be sent, and for none. */
export function outside({ min, max }: Bounds, value: number | null): string {
  if (value === null || ((min === undefined || value >= min) && (max === undefined || value <= max))) return '';
  if (min !== undefined && max !== undefined) return `From ${min} to ${max}`;
  return min === undefined ? `At most ${max}` : `At least ${min}`;
}
