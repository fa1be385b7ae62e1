/** What do embeddings and rerank scores say? Plain arithmetic. */

export function cosine(a: readonly number[], b: readonly number[]): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return aa && bb ? dot / Math.sqrt(aa * bb) : 0;
}

export function similarities(vectors: readonly (readonly number[])[]): number[][] {
  return vectors.map((a) => vectors.map((b) => cosine(a, b)));
}

export interface Ranked {
  index: number;
  score: number;
  /** 0..1 between the worst and the best, for a bar. */
  share: number;
}

export function ranked(results: readonly { index: number; relevance_score: number }[]): Ranked[] {
  const scores = results.map((each) => each.relevance_score);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const share = (score: number) => (high > low ? (score - low) / (high - low) : 1);
  return results
    .map(({ index, relevance_score: score }) => ({ index, score, share: share(score) }))
    .sort((a, b) => b.score - a.score);
}

/** One text a line; empty lines are not texts. */
export function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}
