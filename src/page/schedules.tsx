/** The schedules of the node, on the page of durable requests. */
import type { VNode } from 'preact';

import type { Fired, Schedule } from '../admin/api/stored-answers.js';
import type { Page } from '../admin/api/words.js';
import { get, withQuery } from './api.js';
import { Button, Card, Empty, Loading } from './controls.js';
import { askPerson, order, toast } from './dialogs.js';
import { count, line, moment } from './format.js';
import { linkTo } from './address.js';
import { Breaking, decoded, ServiceLink, StatePill, UUID } from './names.js';
import { isElsewhere } from './node.js';
import { usePolled } from './poll.js';
import { type Column, numeric, Table } from './table.js';

const EVERY_MS = 5000;
/** The most schedules: as many as one page of the API may have. A node has seldom more. */
const ITEMS_MAX = 1000;

interface Shown extends Schedule {
  readonly isBehind: boolean;
}

function Commands({ uuid, paused, name, service, isBehind }: Shown): VNode {
  const isDisabled = isElsewhere() || isBehind;
  const named = `schedule ${line(name ?? uuid)}`;
  const give = async (path: string, said: string): Promise<void> => {
    if ((await order(`/api/v1/titanic/${path}`)) !== null) toast(`${said}: ${named}`, 'good');
  };
  const switchOver = (): Promise<void> =>
    paused
      ? give(`schedules/${uuid}/resume`, 'Schedule resumed')
      : give(`schedules/${uuid}/pause`, 'Schedule paused');
  const fire = async (): Promise<void> => {
    const fired = await order<Fired>(`/api/v1/titanic/schedules/${uuid}/fire`);
    if (fired === null) return;
    const stored = <a href={linkTo('durable', fired.uuid)}>A request is stored</a>;
    toast([stored, ` for ${decoded(service)}, by ${named}`], 'good');
  };
  const end = async (): Promise<void> => {
    const body = <p>{`It stores nothing for ${decoded(service)} any more.`}</p>;
    const question = { title: `End the ${named}?`, body, confirm: 'End the schedule' };
    if (!(await askPerson({ ...question, isDangerous: true }))) return;
    await give(`requests/${uuid}/cancel`, 'Schedule ended');
  };
  return (
    <div class="actions">
      <Button
        label={paused ? 'Resume' : 'Pause'}
        style="button small"
        isCommand
        isDisabled={isDisabled}
        act={switchOver}
      />
      <Button label="Fire now" style="button small" isCommand isDisabled={isDisabled} act={fire} />
      <Button label="End" style="button small" isCommand isDisabled={isDisabled} act={end} />
    </div>
  );
}

const COLUMNS: readonly Column<Shown>[] = [
  {
    head: 'Name',
    cell: ({ uuid, name }) => {
      const shown = <Breaking text={line(name ?? '-')} />;
      return UUID.test(uuid) ? <a href={linkTo('durable', uuid)}>{shown}</a> : shown;
    },
    by: ({ name }) => name ?? '',
  },
  {
    head: 'Service',
    cell: ({ service }) => <ServiceLink service={service} />,
    by: ({ service }) => service,
    drop: 3,
    isBelow: true,
  },
  { head: 'Cron', cell: ({ cron }) => <Breaking text={line(cron)} />, drop: 3 },
  { head: 'Time zone', cell: ({ timeZone }) => <Breaking text={line(timeZone)} />, drop: 2 },
  { head: 'Owner', cell: ({ owner }) => <Breaking text={line(owner ?? '-')} />, drop: 1 },
  {
    head: 'Next',
    cell: ({ next, paused }) => (paused ? <StatePill state="paused" /> : moment(next)),
    by: ({ next }) => next,
    drop: 3,
    isBelow: true,
  },
  {
    head: 'Last',
    cell: ({ last }) => (last === null ? '-' : `${moment(last.at)}: ${line(last.outcome)}`),
    by: ({ last }) => last?.at ?? '',
    drop: 1,
  },
  numeric('Firings', ({ firings }) => firings, count, { drop: 2 }),
  {
    head: 'Commands',
    // Without a token the API shows half of the uuid.
    cell: (schedule) => (UUID.test(schedule.uuid) ? <Commands {...schedule} /> : 'need a token'),
  },
];

/** Where they are alone, within the durable requests. */
export const SCHEDULES = 'schedules';

/** A card of the schedules; nothing while there are none, unless it is the view. */
export function Schedules({ isView = false }: { isView?: boolean }): VNode | null {
  const polled = usePolled(
    'schedules',
    () => get<Page<Schedule>>(withQuery('/api/v1/titanic/schedules', { limit: String(ITEMS_MAX) })),
    EVERY_MS,
  );
  const { answer, error, isBehind } = polled;
  const title = isView ? (
    <>
      <a href={linkTo('durable')}>Durable</a> / Schedules
    </>
  ) : (
    <a href={linkTo('durable', SCHEDULES)}>Schedules</a>
  );
  if (answer === null) {
    if (!isView && error === null) return null;
    return (
      <Card title={title} isView={isView}>
        <Loading of={polled} />
      </Card>
    );
  }
  if (answer.items.length === 0 && !isView) return null;
  const said = answer.next === null ? 'next first' : `only the next ${count(ITEMS_MAX)} are shown`;
  return (
    <Card title={title} isView={isView} status={said} error={error}>
      <Table
        label="Schedules"
        columns={COLUMNS}
        items={answer.items.map((each) => ({ ...each, isBehind }))}
        rowKey={({ uuid, name }) => `${uuid} ${name ?? ''}`}
        sortedBy="Next"
        pageRows={20}
        empty={
          <Empty title="No schedules">
            A client makes one with <code>client.schedule</code> or{' '}
            <code>majordomo durable schedule</code>.
          </Empty>
        }
      />
    </Card>
  );
}
