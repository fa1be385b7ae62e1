import { describe, expect, test } from 'vitest';
import { model } from '../../testing/values';
import { failedStart } from './remedies';

const failure = { kind: 'cut' as const, cause: 'cut', evidence: '', way_out: '' };

describe('which start has failed', () => {
  test('only of a model that is stopped and has a failure', () => {
    expect(failedStart(model('a'))).toBeNull();
    expect(failedStart(model('a', { state: 'starting', failure, error: 'x' }))).toBeNull();
    expect(failedStart(model('a', { failure, error: 'x' }))).not.toBeNull();
  });
  test('another command, another start', () => {
    const [one, two] = ['x -c 1', 'x -c 2'].map((cmd) => failedStart(model('a', { failure, error: 'x', cmd })));
    expect(one).not.toBe(two);
  });
});
