/** Of what is asked one after the other only the last counts: how does an answer that comes late not overwrite it? */

export class Latest {
  #outdated = new AbortController();

  /** Asks; what was asked before is given up, and neither its answer nor its failure comes any more. */
  async ask<T>(
    call: (signal: AbortSignal) => Promise<T>,
    take: (answer: T) => void,
    fail: (reason: unknown) => void,
  ): Promise<void> {
    this.stop();
    const { signal } = (this.#outdated = new AbortController());
    try {
      const answer = await call(signal);
      if (!signal.aborted) take(answer);
    } catch (reason) {
      if (!signal.aborted) fail(reason);
    }
  }

  /** Gives up what was asked last. */
  stop(): void {
    this.#outdated.abort();
  }
}
