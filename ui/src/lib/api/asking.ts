/**
 * Asks something, at once or `after` so many milliseconds, and takes what comes of it for as long as it is wanted: until
 * what is returned is called. So an effect asks again when what it has read has changed, no answer to an earlier question
 * is shown, and nothing comes to a page that was left: `$effect(() => asking((signal) => json(path, { signal }), take))`.
 */
export function asking<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  take: (answer: T) => void,
  fail: (reason: unknown) => void = () => {},
  after = 0,
): () => void {
  const outdated = new AbortController();
  const begin = () =>
    void ask(outdated.signal).then(
      (answer) => outdated.signal.aborted || take(answer),
      (reason) => outdated.signal.aborted || fail(reason),
    );
  const timer = after ? setTimeout(begin, after) : begin();
  return () => {
    clearTimeout(timer ?? undefined);
    outdated.abort();
  };
}

/** Asks one question after the other: the answers to what was asked before do not come any more. */
export class LastAsked {
  #end = () => {};

  /** As `asking`. */
  ask<T>(
    ask: (signal: AbortSignal) => Promise<T>,
    take: (answer: T) => void,
    fail?: (reason: unknown) => void,
    after?: number,
  ): void {
    this.stop();
    this.#end = asking(ask, take, fail, after);
  }

  stop(): void {
    this.#end();
  }
}
