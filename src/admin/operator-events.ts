/** What operators do over HTTP, in requests that may change something: see core/event-table.ts. */
import { who } from '../core/event-fields.js';
import { type EventOf, field, info, type ValuesOf, warn } from '../core/event-table.js';

const ACT = {
  who,
  token: field.string('the name of the token: `http.token` is the own one of the node', 'operator'),
  act: field.string('method and path, as [http.md](http.md) has it: `POST /api/v1/ha/promote`'),
  uuid: field.orNull(field.string("the beginning of the request's, or `null`")),
  service: field.orNull(field.string('the service that was named, percent-escaped, or `null`')),
  filter: field.orNull(
    field.string('of a command for many: which requests were meant, or `null`', 'operator'),
  ),
  count: field.orNull(field.number('of a command for many: how many it changed, or `null`')),
  address: field.orNull(field.string('where it came from, or `null`: a local socket', 'peer')),
} as const;
type Act = ValuesOf<typeof ACT>;

export const ADMIN_EVENTS = {
  'operator.acted': info(whoActed, ACT, {
    when: 'an operator changed something (retry, cancel, purge, promote, switchover) by HTTP, a command or the page',
    by: ['act'],
    who: whatOf,
  }),
  'operator.refused': warn(
    (event) => `${whoActed(event)}: refused (${event.status})`,
    { ...ACT, status: field.number('the HTTP status of the answer') },
    { when: 'the same, and nothing was done', by: ['act'], who: whatOf },
  ),
};

export type AdminEvent = EventOf<typeof ADMIN_EVENTS>;

function whatOf({ uuid, who }: Act): string {
  return uuid ?? who;
}

function whoActed({ who, token, act, uuid, service, filter, count, address }: Act): string {
  const by = who === token ? who : `${who}, with the token ${token},`;
  const from = address === null ? 'over a local socket' : `from ${address}`;
  const about = [
    uuid,
    service === null ? null : `service ${service}`,
    filter === null || filter === '' ? null : filter,
    count === null ? null : `${count} requests`,
  ].filter((each) => each !== null);
  return `${by} ${from}: ${act}${about.length === 0 ? '' : ` (${about.join('; ')})`}`;
}
