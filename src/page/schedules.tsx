/** The schedules of the node, on the page of durable requests. */
import type { VNode } from 'preact';

import type { Schedule } from '../admin/api/stored-answers.js';
import type { Page } from '../admin/api/words.js';
import { get, withQuery } from './api.js';
import { Card } from './controls.js';
import { count, line, moment } from './format.js';
import { linkTo } from './links.js';
import { ServiceLink, UUID } from './names.js';
import { usePolled } from './poll.js';
import { type Column, numeric, Table } from './table.js';

const EVERY_MS = 5000;
/** As many as one page of the API may have: a node has seldom more. */
const ITEMS_MAX = 1000;

const COLUMNS: readonly Column<Schedule>[] = [
  {
    head: 'Name',
    cell: ({ uuid, name }) => {
      const shown = line(name ?? '-');
      return UUID.test(uuid) ? <a href={linkTo('durable', uuid)}>{shown}</a> : shown;
    },
    by: ({ name }) => name ?? '',
  },
  {
    head: 'Service',
    cell: ({ service }) => <ServiceLink service={service} />,
    by: ({ service }) => service,
  },
  { head: 'Cron', cell: ({ cron }) => line(cron), drop: 3 },
  { head: 'Time zone', cell: ({ timeZone }) => line(timeZone), drop: 2 },
  { head: 'Owner', cell: ({ owner }) => line(owner ?? '-'), drop: 1 },
  { head: 'Next', cell: ({ next }) => moment(next), by: ({ next }) => next },
  numeric('Firings', ({ firings }) => firings, count, { drop: 2 }),
];

/** Nothing while there are no schedules. */
export function Schedules(): VNode | null {
  const { answer, error } = usePolled(
    'schedules',
    () => get<Page<Schedule>>(withQuery('/api/v1/titanic/schedules', { limit: String(ITEMS_MAX) })),
    EVERY_MS,
  );
  if (answer === null || answer.items.length === 0) return null;
  const said = answer.next === null ? 'next first' : `only the next ${count(ITEMS_MAX)} are shown`;
  return (
    <Card title="Schedules" status={said} error={error}>
      <Table
        label="Schedules"
        columns={COLUMNS}
        items={answer.items}
        rowKey={({ uuid, name }) => `${uuid} ${name ?? ''}`}
        sortedBy="Next"
        pageRows={20}
        empty={null}
      />
    </Card>
  );
}
