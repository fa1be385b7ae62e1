import { expect, test } from 'vitest';
import { AS_FOUND, byPlace, diffLines, lastLoad, optionsOf, total, withFolder } from './plan';

test('only corrections are sent', () => {
  expect(optionsOf(AS_FOUND)).toEqual({});
  expect(
    optionsOf({ ...AS_FOUND, vram: '11.5', ram: ' ', context: '4096', parallel: 'x', backend: 'cpu', draft: true }),
  ).toEqual({
    vram_gb: 11.5,
    context: 4096,
    backend: 'cpu',
    auto_draft: true,
  });
  expect(optionsOf({ ...AS_FOUND, vram: '0' })).toEqual({ vram_gb: 0 });
});

test('a folder that another one holds is not searched twice', () => {
  expect(withFolder(['/a'], '/a/b')).toEqual(['/a']);
  expect(withFolder(['/a/b', '/c'], '/a/')).toEqual(['/c', '/a']);
  expect(withFolder(['/a'], '/ab')).toEqual(['/a', '/ab']);
  expect(withFolder(['/a'], '/')).toEqual(['/']);
  expect(withFolder(['/'], '/a')).toEqual(['/']);
});

test('bytes by where they lie', () => {
  const fit = [
    { what: 'weights', bytes: 5, where: 'GPU 0' },
    { what: 'cache', bytes: 7, where: 'RAM' },
    { what: 'buffer', bytes: 1, where: 'GPU 0' },
  ];
  const model = {
    id: 'a',
    known: false,
    kind: 'chat',
    quantization: '',
    size_bytes: 0,
    context: 1,
    placement: '',
    group: null,
    port: null,
    reasons: [],
    fit,
    last_load: null,
    speed: null,
  };
  expect(byPlace(model)).toEqual([
    { where: 'RAM', bytes: 7 },
    { where: 'GPU 0', bytes: 6 },
  ]);
  expect(total(model)).toBe(13);
});

test('what the last load took stands beside what was expected', () => {
  const devices = [
    { device: 'gpu0', expected: 20.2 * 1024 ** 3, taken: 20.4 * 1024 ** 3 },
    { device: 'ram', expected: 0, taken: 1024 ** 2 },
  ];
  expect(lastLoad({ at: 1, context: 8192, devices })).toBe(
    'GPU 0 20.2 GiB expected, 20.4 GiB taken; RAM 0 B expected, 1.0 MiB taken',
  );
});

test('a diff is read by its first signs, without the names of files', () => {
  const found = diffLines('--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n same\n+--- a list item\n');
  expect(found.map((line) => line.kind)).toEqual(['place', 'remove', 'add', 'same', 'add']);
  expect(diffLines('')).toEqual([]);
});
