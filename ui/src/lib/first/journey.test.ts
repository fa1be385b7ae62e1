import { expect, test } from 'vitest';
import { ApiError } from '../api/errors';
import type { Download, Model } from '../api/types';
import { followed, lastLines, stageOf } from './journey';
import { troubleOf, troubleWith } from './trouble';

const download = {
  id: 'a',
  status: 'downloading',
  total_bytes: 2048,
  done_bytes: 1024,
  bytes_per_second: null,
  eta_seconds: null,
  quiet_seconds: null,
  error: null,
  error_code: null,
  note: null,
  models: [] as string[],
  created_at: 1,
} as unknown as Download;
const finished = { ...download, status: 'finished', done_bytes: 2048, models: ['m'] } as Download;
const model = (more: Partial<Model>) => ({ id: 'm', state: 'starting', progress: null, ...more }) as Model;

test('four steps, one after another', () => {
  expect(stageOf(download, undefined, '')).toMatchObject({ step: 0, words: '1.0 KiB of 2.0 KiB', share: 0.5 });
  expect(stageOf({ ...download, status: 'checking' }, undefined, '')).toMatchObject({ step: 0, share: null });
  expect(stageOf({ ...download, done_bytes: 2048 }, undefined, '').step).toBe(1);
  expect(stageOf(finished, model({ progress: 0.25, progress_message: 'reading weights' }), '')).toEqual({
    step: 2,
    words: 'reading weights',
    share: 0.25,
    stopped: false,
  });
  expect(stageOf(finished, model({ expected_seconds: 8 }), '').words).toBe('Loading it into memory, about 8 s');
  expect(stageOf(finished, model({ state: 'ready' }), '').step).toBe(3);
});

test('what stands still says why', () => {
  expect(stageOf({ ...download, status: 'paused' }, undefined, '')).toMatchObject({ step: 0, stopped: true });
  const refused = { ...finished, models: [], note: 'it does not fit' };
  expect(stageOf(refused, undefined, '')).toMatchObject({ step: 1, words: 'It does not fit', stopped: true });
  expect(stageOf(finished, model({}), 'out of memory | line | last')).toMatchObject({
    step: 2,
    words: 'out of memory',
    stopped: true,
  });
});

test('what a server printed last stands apart', () => {
  expect(lastLines('it ended: exit code 1\n | one\n | two')).toEqual(['one', 'two']);
  expect(lastLines('it ended')).toEqual([]);
});

test('a page that is opened again follows what was begun, or what nobody else follows', () => {
  const other = { ...download, id: 'b', created_at: 2 } as Download;
  expect(followed([download, other], 'a', true)?.id).toBe('a');
  expect(followed([download, other], null, true)?.id).toBe('b');
  expect(followed([download, other], null, false)).toBeUndefined();
  expect(followed([finished], null, true)).toBeUndefined();
});

test('trouble has a way out', () => {
  expect(troubleOf(new ApiError(507, 'it needs 5 GiB', 'disk_full')).title).toContain('room on the disk');
  expect(troubleOf(new ApiError(403, 'gated', 'gated_model')).wantsToken).toBe(true);
  expect(troubleOf(new ApiError(0, 'x')).title).toBe('ClaraCore cannot be reached');
  expect(troubleOf(new Error('odd'))).toMatchObject({ title: 'That did not work', words: 'odd' });
  const waiting = { ...download, error: 'h cannot be reached', error_code: 'hub_unreachable' };
  expect(troubleWith(waiting)).toMatchObject({ passing: true, title: 'The hub cannot be reached' });
  expect(troubleWith({ ...waiting, status: 'failed' })?.passing).toBe(false);
  expect(troubleWith(download)).toBeNull();
});
