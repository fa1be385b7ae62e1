import { expect, test } from 'vitest';
import { Latest } from './latest';

const never = () => expect.unreachable();

test('what is asked before is given up, and its late answer does not come', async () => {
  const latest = new Latest();
  const heard: string[] = [];
  const answers: ((word: string) => void)[] = [];
  const signals: AbortSignal[] = [];
  const call = (signal: AbortSignal) => {
    signals.push(signal);
    return new Promise<string>((resolve) => answers.push(resolve));
  };
  const both = ['old', 'new'].map(() => latest.ask(call, (word) => heard.push(word), never));
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  answers[1]!('new');
  answers[0]!('old');
  await Promise.all(both);
  expect(heard).toEqual(['new']);
});

test('a failure is told, but not that of what was given up', async () => {
  const latest = new Latest();
  const failures: unknown[] = [];
  const failing = () =>
    latest.ask(
      () => Promise.reject(new Error('no')),
      never,
      (reason) => failures.push(reason),
    );
  await failing();
  const given = failing();
  latest.stop();
  await given;
  expect(failures.map(String)).toEqual(['Error: no']);
});
