import { expect, test } from 'vitest';
import { row } from '../../testing/values';
import { csv, markdown } from './export';

test('cells stay cells, and text stays text', () => {
  const odd = {
    ...row(1),
    at: 0,
    model: '=1+1',
    node: 'desk',
    request_id: '7af3',
    path: '/a,"b"',
    error: 'two\nlines | here',
  };
  const [head, ...lines] = csv([odd]).split('\r\n');
  expect(head).toContain('at,request_id,model,node,path,status,error');
  expect(lines[0]).toContain(`1970-01-01T00:00:00.000Z,7af3,'=1+1,desk,"/a,""b""",`);
  expect(markdown([odd]).split('\n')[2]).toContain('| 7af3 | =1+1 | desk | /a,"b" |');
  expect(markdown([odd])).toContain('two lines \\| here');
});
