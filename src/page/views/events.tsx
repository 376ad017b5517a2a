/** Recent events that the node has kept, and new ones. */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';

import { Button, Card, Empty, FilterChoice, FilterText } from '../controls.js';
import { connection, events, type ReceivedEvent, refusal } from '../page-events.js';
import { EventRow, grouped, serviceOf, textOf } from '../events-list.js';
import { count, plural } from '../format.js';
import { filter } from '../address.js';
import { decoded } from '../names.js';

const SHOWN_MAX = 200;

const SEVERITIES = [
  ['', 'Any severity'],
  ['warn', 'Warnings and errors'],
  ['error', 'Errors'],
] as const;

const CONNECTION = {
  live: 'live',
  polled: 'read every few seconds: other pages of this browser have the streams',
  none: 'not connected, retrying',
} as const;

function matches(received: ReceivedEvent): boolean {
  const [severity, service] = [filter('severity'), filter('service')];
  const wanted = filter('text').trim().toLowerCase();
  if (severity !== '' && received.severity === 'info') return false;
  if (severity === 'error' && received.severity !== 'error') return false;
  if (service !== '' && serviceOf(received) !== service) return false;
  return wanted === '' || `${received.event} ${textOf(received)}`.toLowerCase().includes(wanted);
}

/** The services of the events, and the chosen one. */
function servicesOf(all: readonly ReceivedEvent[]): (readonly [string, string])[] {
  const names = new Set([...all.map(serviceOf), filter('service')]);
  names.delete('');
  return [['', 'Any service'], ...[...names].sort().map((name) => [name, decoded(name)] as const)];
}

export function EventsView(): VNode {
  const held = useSignal<readonly ReceivedEvent[] | null>(null);
  const all = held.value ?? events.value;
  const found = all.filter(matches);
  const live = CONNECTION[connection.value];
  const status = refusal.value === '' ? live : `${live}: ${refusal.value}`;
  const of = found.length === all.length ? '' : `${count(found.length)} of `;
  return (
    <Card
      title="Events"
      isView
      status={`${held.value === null ? status : 'paused'} · ${of}${plural(all.length, 'event')}`}
      tools={
        <>
          <div class="filters" role="search">
            <FilterChoice name="severity" label="Severity" options={SEVERITIES} />
            <FilterChoice name="service" label="Service" options={servicesOf(all)} />
            <FilterText name="text" label="Filter events" hint="Text" />
          </div>
          <Button
            label={held.value === null ? 'Pause' : 'Resume'}
            act={() => (held.value = held.value === null ? events.value : null)}
          />
        </>
      }
    >
      {found.length > 0 ? null : all.length > 0 ? (
        <Empty title="No events">{`None of the ${count(all.length)} kept events matches the filters.`}</Empty>
      ) : (
        <Empty title="No events">
          Events are workers that register or leave, and errors. Successful requests are not events.
        </Empty>
      )}
      <ol class="events" aria-label="Events, newest first">
        {grouped(found)
          .slice(0, SHOWN_MAX)
          .map((group) => (
            <EventRow key={group.key} group={group} />
          ))}
      </ol>
    </Card>
  );
}
