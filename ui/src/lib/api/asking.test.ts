import { expect, test, vi } from 'vitest';
import { asking } from './asking';

function asked() {
  const control = { resolve: (_: string) => {}, reject: (_: unknown) => {} };
  const promise = new Promise<string>((resolve, reject) => Object.assign(control, { resolve, reject }));
  const [take, fail] = [vi.fn(), vi.fn()];
  let signal: AbortSignal | undefined;
  const end = asking(
    (given) => {
      signal = given;
      return promise;
    },
    take,
    fail,
  );
  const settled = promise.then(
    () => {},
    () => {},
  );
  return { ...control, take, fail, end, settled, signal: signal! };
}

test('an answer is taken, and a failure told', async () => {
  const answered = asked();
  answered.resolve('an answer');
  await answered.settled;
  expect(answered.take).toHaveBeenCalledExactlyOnceWith('an answer');
  const failed = asked();
  failed.reject(new Error('no'));
  await failed.settled;
  expect(failed.fail).toHaveBeenCalledExactlyOnceWith(new Error('no'));
});

test('what comes when it is not wanted any more goes nowhere, and need not come', async () => {
  for (const settle of ['resolve', 'reject'] as const) {
    const late = asked();
    late.end();
    expect(late.signal.aborted).toBe(true);
    late[settle]('late');
    await late.settled;
    expect(late.take).not.toHaveBeenCalled();
    expect(late.fail).not.toHaveBeenCalled();
  }
});

test('what is not wanted any more before it was asked is not asked', () => {
  vi.useFakeTimers();
  const ask = vi.fn(() => Promise.resolve('an answer'));
  const end = asking(ask, vi.fn(), vi.fn(), 300);
  asking(ask, vi.fn(), vi.fn(), 400);
  vi.advanceTimersByTime(299);
  expect(ask).not.toHaveBeenCalled();
  end();
  vi.advanceTimersByTime(300);
  expect(ask).toHaveBeenCalledOnce();
  vi.useRealTimers();
});
