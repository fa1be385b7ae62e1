import { describe, expect, it } from 'vitest';
import { type Answer, Followed } from './followed';

/** A server whose list grows with each event; answers are given when the test says so. */
class Server {
  list: string[] = [];
  last = 0;
  asked: ((answer: Answer<string[]>) => void)[] = [];

  ask = () => new Promise<Answer<string[]>>((resolve) => this.asked.push(resolve));
  answer() {
    return { value: [...this.list], known: this.last };
  }
  happen(what: string): [string, number] {
    this.list.push(what);
    return [what, (this.last += 1)];
  }
}

function page(server: Server, looksAgain = false) {
  const shown: { value: string[] } = { value: [] };
  const followed = new Followed<string[], string>({
    ask: server.ask,
    show: (value) => (shown.value = value),
    ...(looksAgain ? {} : { now: () => shown.value, change: (value: string[], event: string) => [...value, event] }),
  });
  return { shown, followed };
}
const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('what is shown', () => {
  it('misses no event that falls between the answer and the stream, and has none twice', async () => {
    const server = new Server();
    const { shown, followed } = page(server);
    const early = server.happen('early');
    void followed.refresh();
    const answer = server.answer();
    const between = server.happen('between');
    // The stream is faster than the answer, and tells what the answer knows already, too.
    followed.hear(...early);
    followed.hear(...between);
    server.asked[0]!(answer);
    await settled();
    expect(shown.value).toEqual(['early', 'between']);
    followed.hear(...early);
    followed.hear(...server.happen('late'));
    expect(shown.value).toEqual(server.list);
  });

  it('is asked for again when an event comes that the answer does not know', async () => {
    const server = new Server();
    const { shown, followed } = page(server, true);
    void followed.refresh();
    const old = server.answer();
    followed.hear(...server.happen('between'));
    expect(server.asked.length).toBe(1);
    server.asked[0]!(old);
    await settled();
    expect(server.asked.length).toBe(2);
    server.asked[1]!(server.answer());
    await settled();
    expect(shown.value).toEqual(['between']);
    followed.hear('between', 1);
    expect(server.asked.length).toBe(2);
  });

  it('is not what was overtaken', async () => {
    const server = new Server();
    const { shown, followed } = page(server);
    void followed.refresh();
    const old = server.answer();
    server.happen('one');
    void followed.refresh();
    server.asked[1]!(server.answer());
    server.asked[0]!(old);
    await settled();
    expect(shown.value).toEqual(['one']);
  });
});

it('a failure is told, and the next answer is shown', async () => {
  const failures: unknown[] = [];
  let fails = true;
  const shown: number[] = [];
  const followed = new Followed<number, never>({
    ask: () => (fails ? Promise.reject(new Error('no')) : Promise.resolve({ value: 5, known: 1 })),
    show: (value) => shown.push(value),
    failed: (error) => failures.push(error),
  });
  await followed.refresh();
  fails = false;
  await followed.refresh();
  expect([failures.length, shown]).toEqual([1, [5]]);
});
