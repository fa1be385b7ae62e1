/** Which rows of a long list are in sight? Rows may be of any height, known once they were drawn. Pure; pixels. */

/** Where each row begins, and, last, where the list ends. Rows never drawn are as high as the others on the average. */
export function offsetsOf(ids: readonly string[], heights: ReadonlyMap<string, number>, first: number): number[] {
  const known = ids.flatMap((id) => heights.get(id) ?? []);
  const likely = known.length ? known.reduce((sum, each) => sum + each, 0) / known.length : first;
  const offsets = [0];
  for (const id of ids) offsets.push(offsets.at(-1)! + (heights.get(id) ?? likely));
  return offsets;
}

/** The rows that touch the stretch, from the first to before the last; none when it is beside the list. */
export function rowsIn(offsets: readonly number[], top: number, bottom: number): [number, number] {
  const end = offsets.at(-1)!;
  if (bottom <= 0 || top >= end) return [0, 0];
  return [lastAtMost(offsets, Math.max(0, top)), Math.min(offsets.length - 1, lastAtMost(offsets, bottom) + 1)];
}

function lastAtMost(offsets: readonly number[], wanted: number): number {
  let [low, high] = [0, offsets.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (offsets[middle]! <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}
