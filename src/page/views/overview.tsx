/** What needs a person first, then the charts and events of the node. */
import type { VNode } from 'preact';

import { byNeed } from '../../core/service-needs.js';
import { Chart, type ChartOptions, TimeSpan, useSpan } from '../chart.js';
import { NODE_CHARTS, SMALL_CHARTS, STORED_CHARTS } from '../charts.js';
import { Card, Empty, Figure, Loading } from '../controls.js';
import { connection, events } from '../page-events.js';
import { EventRow, grouped } from '../events-list.js';
import { bytes, count, plural } from '../format.js';
import { linkTo } from '../address.js';
import { overview, samples } from '../node.js';
import { usePolled } from '../poll.js';
import { allServices, COLUMNS, servicesDelayMs } from '../services.js';
import { Table } from '../table.js';

const EVENTS_SHOWN = 8;
const SERVICES_SHOWN = 10;
/** The list of services is loaded this many times less often than on its own view. */
const SERVICES_EVERY = 2;

const { service, failures, share, dead, oldest, queued, workers, rate, p99 } = COLUMNS;

export function OverviewView(): VNode {
  return (
    <div class="stack">
      <h1 class="unseen">Overview</h1>
      <ServicesByNeed />
      <Charts />
      <RecentEvents />
    </div>
  );
}

function ServicesByNeed(): VNode {
  const services = usePolled(
    'services',
    allServices,
    (services) => SERVICES_EVERY * servicesDelayMs(services),
  );
  const total = overview.value?.services ?? 0;
  const title = 'Services, those that fail first';
  return (
    <Card title={title} tools={<a href={linkTo('services')}>{plural(total, 'service')}</a>}>
      {services.answer === null ? (
        <Loading of={services} />
      ) : (
        <Table
          label={title}
          columns={[service, failures, share, dead, oldest, queued, workers, rate, p99]}
          items={byNeed(services.answer).slice(0, SERVICES_SHOWN)}
          rowKey={({ service: name }) => name}
          isFixed
          empty={
            <Empty title="No services yet">
              Start a worker: <code>majordomo worker upper -- tr a-z A-Z</code>
            </Empty>
          }
        />
      )}
    </Card>
  );
}

function Charts(): VNode {
  const stored = overview.value?.stored ?? null;
  const span = useSpan(null, samples.value, 1000);
  const drawn = (all: readonly ChartOptions[], isSmall: boolean): VNode[] =>
    all.map((each) => <Chart key={each.title} {...each} {...span} isSmall={isSmall} />);
  return (
    <>
      <TimeSpan samples={samples.value} />
      <div class="grid wide">{drawn(NODE_CHARTS, false)}</div>
      <div class="grid">{drawn(SMALL_CHARTS, true)}</div>
      {overview.value !== null && stored === null ? null : (
        <div class="grid">
          {drawn(STORED_CHARTS, true)}
          <section class="card chart small" aria-label="Store">
            <h2>
              <a href={linkTo('durable')}>Store</a>
            </h2>
            <div class="figures">
              <Figure value={bytes(stored?.bytes ?? null)} label="on disk" />
            </div>
            <div class="figures">
              <Figure value={count(stored?.replied ?? null)} label="replies not closed yet" />
            </div>
          </section>
        </div>
      )}
    </>
  );
}

function RecentEvents(): VNode {
  const shown = grouped(events.value).slice(0, EVENTS_SHOWN);
  const isConnected = connection.value !== 'none';
  const none = isConnected ? 'No events since this node started.' : 'Connecting…';
  return (
    <Card
      title="Recent events"
      status={shown.length > 0 ? '' : none}
      tools={<a href={linkTo('events')}>All</a>}
    >
      <ol class="events">
        {shown.map((group) => (
          <EventRow key={group.key} group={group} />
        ))}
      </ol>
    </Card>
  );
}
