/** What is there to know about one request that is over, besides what its line of the table has room for? Pure. */
import type { ActivityRow } from '../api/types';
import { dateTime } from '../format';

export interface Fact {
  name: string;
  text: string;
}

/** What is known, in the order in which a person asks for it; the request id is shown by itself. */
export function factsOf(row: ActivityRow): Fact[] {
  const asked =
    row.requested && row.requested !== row.model ? `${row.model}, asked for as ${row.requested}` : row.model;
  const all: [string, string | null][] = [
    ['When', dateTime(row.at)],
    ['Model', asked],
    ['Chosen by', row.selector],
    ['Machine', row.node],
    ['Path', row.path],
    ['Result', row.status ? String(row.status) : null],
    ['Error', row.error],
    ['Kind of answer', row.content_type],
    ['From', row.client],
    ['Key', row.key],
    ['Session', row.session],
  ];
  return all.flatMap(([name, text]) => (text ? [{ name, text }] : []));
}
