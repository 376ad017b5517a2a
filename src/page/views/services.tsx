/** The list of services: those that need a person first, or sorted by a column. */
import type { VNode } from 'preact';

import { byNeed } from '../../core/service-needs.js';
import { Card, Empty, FilterText, Loading } from '../controls.js';
import { count } from '../format.js';
import { filter } from '../address.js';
import { decoded } from '../names.js';
import { usePolled } from '../poll.js';
import { allServices, COLUMNS, servicesDelayMs } from '../services.js';
import { Table } from '../table.js';

const PAGE_ROWS = 50;

export function ServicesView(): VNode {
  const services = usePolled('services', allServices, servicesDelayMs);
  const { answer, error } = services;
  const wanted = filter('name').trim().toLowerCase();
  const all = answer ?? [];
  const found = byNeed(all).filter(({ service }) =>
    [service, decoded(service)].some((name) => name.toLowerCase().includes(wanted)),
  );
  const of = wanted === '' ? '' : `${count(found.length)} of `;
  return (
    <Card
      title="Services"
      isView
      status={answer === null ? '' : `${of}${count(all.length)}, those that fail first`}
      error={answer === null ? null : error}
      tools={<FilterText name="name" label="Filter services by name" hint="Filter by name" />}
    >
      {answer === null ? (
        <Loading of={services} />
      ) : (
        <Table
          // Other items start at their first page.
          key={wanted}
          label="Services"
          columns={Object.values(COLUMNS)}
          items={found}
          rowKey={({ service }) => service}
          pageRows={PAGE_ROWS}
          empty={
            all.length > 0 ? (
              <Empty title="No such service">{`None of ${count(all.length)} has this in its name.`}</Empty>
            ) : (
              <Empty title="No services">
                A service appears when a worker registers for it:{' '}
                <code>majordomo worker upper -- tr a-z A-Z</code>
              </Empty>
            )
          }
        />
      )}
    </Card>
  );
}
