import { expect, test } from 'vitest';
import { hrefOf, placeOf } from './router';

test.each([
  ['/ui/', 'models', ''],
  ['/ui', 'models', ''],
  ['/', 'models', ''],
  ['/ui/chat', 'chat', ''],
  ['/ui/models/org/name.v1', 'models', 'org/name.v1'],
  ['/ui/models/a%20b%3F', 'models', 'a b?'],
  ['/ui/nowhere', 'unknown', 'nowhere'],
  ['/ui/nowhere/at/all', 'unknown', 'nowhere/at/all'],
  ['/ui/logs/100%', 'logs', '100%'],
])('%s', (path, page, rest) => expect(placeOf(path)).toMatchObject({ page, rest }));

test('what is linked to is found again', () => {
  for (const id of ['a', 'org/name', 'a b?#%', 'ä/ö', '100%']) {
    const url = new URL(hrefOf('models', id, { q: 'x y' }), 'http://h');
    expect(placeOf(url.pathname, url.search).rest).toBe(id);
    expect(placeOf(url.pathname, url.search).query.get('q')).toBe('x y');
  }
});
