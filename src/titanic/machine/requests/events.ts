/** The events of stored requests and of their store, for monitoring: see core/event-table.ts. */
import {
  address,
  key,
  peerOf,
  reason,
  schedule,
  service,
  text,
  uuid,
  who,
} from '../../../core/event-fields.js';
import {
  debug,
  error,
  type EventOf,
  type EventSink,
  field,
  type Field,
  info,
  warn,
} from '../../../core/event-table.js';
import { OUTCOME_UNKNOWN } from '../../../core/failure-words.js';
import type { StoredState, StoreFailure } from '../../../store/store.js';

const ofOwner = { ...key, about: "the name of its owner's key, or `null`" };
const SCHEDULE = { schedule, service, key: ofOwner } as const;
const serviceOrNull: Field<string | null> = field.orNull(
  field.string('or `null`, if they are of several services'),
);
const count = field.number();
const id = field.string();
const HELD = { pending: field.number(), replied: field.number(), dead: field.number() } as const;
const workers: Field<string> = { ...reason, author: 'worker' };

export const TITANIC_EVENTS = {
  'titanic.recovered': info(
    'durable requests: {pending} pending, {replied} replied, {dead} dead ({tookMs} ms)',
    { ...HELD, tookMs: field.number() },
    'at the start: what the store contains',
  ),
  'titanic.retried': info(
    'a durable request for {service} failed and will be retried',
    { service, reason: workers },
    { counted: 'titanic_retried_total' },
  ),
  'titanic.died': warn(
    'a durable request for {service} is dead',
    { service, attempts: field.number(), reason: workers },
    { counted: 'titanic_dead_total' },
  ),
  'titanic.expired': warn(
    'a durable request for {service} expired unserved',
    { service },
    { counted: 'titanic_expired_total' },
  ),
  'titanic.cancelled': info('{who} cancelled {count} durable requests', {
    service: serviceOrNull,
    count,
    who,
  }),
  'titanic.reopened': info('{who} retried {count} dead requests', {
    service: serviceOrNull,
    count,
    who,
  }),
  'titanic.purged': warn('{who} deleted {count} durable requests', {
    service: serviceOrNull,
    state: field.orNull(
      field.oneOf<StoredState>(
        { dead: '', replied: '', pending: '' },
        'or `null`: dead and replied ones',
      ),
    ),
    count,
    who,
  }),
  'titanic.refused': warn(
    ({ text }) => {
      const isUnknown = text.startsWith(OUTCOME_UNKNOWN);
      return `${isUnknown ? 'it is not known whether a request was stored' : 'a request was not stored'}: ${text}`;
    },
    {
      reason: field.oneOf({
        limit: '',
        peer: '',
        store: '',
        webhook: 'the broker does not allow its URL',
      }),
      text,
    },
    'not stored: over a limit, the store has a problem, or its webhook is not allowed',
  ),
  'titanic.wait_refused': warn(
    (event) =>
      `${peerOf(event)} may not wait for one more answer: the quota \`waits\` of its identity is used up`,
    { key, address },
    {
      when: 'a client asked `titanic.wait`, `titanic.call` or `titanic.progress` over the quota `waits` of its identity, and got `300` at once',
      counted: 'quota_refusals_total',
      who: peerOf,
    },
  ),
  'titanic.denied': warn(
    (event) => {
      const asked = event.wanted === 'close' ? 'to close' : 'for the reply of';
      return `${peerOf(event)} asked ${asked} a durable request of another client: refused`;
    },
    { wanted: field.oneOf({ reply: '', close: '' }), uuid, key, address },
    {
      when: "a client asked for the reply of another client's durable request, or asked to close it, and got 400",
      who: peerOf,
    },
  ),
  'titanic.malformed': warn(
    'a malformed request for titanic.*: {reason}',
    { reason },
    {
      when: 'a request for `titanic.*` could not be read and got 400',
      counted: 'messages_malformed_total',
    },
  ),
  'schedule.made': info(
    'the schedule {schedule} is due next at {next}',
    { ...SCHEDULE, next: field.string('when it is due') },
    'a client made a schedule, or replaced it',
  ),
  'schedule.ended': info(
    'the schedule {schedule} ended: {reason}',
    { ...SCHEDULE, reason },
    'it was removed or cancelled, is never due again, or gave way to a younger one of its name when a pair merged',
  ),
  'schedule.denied': warn(
    'the schedule {schedule} was due, but its owner has no right to {service}',
    { ...SCHEDULE, due: field.string('when it was due') },
    { counted: 'titanic_schedules_due_total', who: ownerOf },
  ),
  'schedule.delayed': warn(
    'the schedule {schedule} is due, and tried again soon: {text}',
    { ...SCHEDULE, text },
    {
      when: 'it is due, but over a limit, or the store has a problem; it is tried again every five seconds',
      counted: 'titanic_schedules_due_total',
      who: ownerOf,
    },
  ),
  'schedule.paused': warn(
    '{who} paused the schedule {schedule}',
    { ...SCHEDULE, who },
    'an operator paused it: nothing is stored for it when it is due',
  ),
  'schedule.resumed': info(
    '{who} resumed the schedule {schedule}',
    { ...SCHEDULE, who },
    'an operator resumed it: requests are stored for it from its next due time on',
  ),
  'schedule.fired': info('{who} had a request stored for the schedule {schedule}', {
    ...SCHEDULE,
    who,
  }),
  'schedule.unreadable': error(
    'the schedule {uuid}… cannot be read here: {text}',
    { uuid, text },
    'this version, or this system, does not understand it: it is never due',
  ),
  'service.paused': warn('{who} paused {service}: its requests wait', { service, who }),
  'service.resumed': info('{who} resumed {service}', { service, who }),
  'service.limited': info('{who} limited {service}: {limits}', {
    service,
    limits: field.string('the limits in words'),
    who,
  }),
  'service.unlimited': info(
    '{who} took the limits of {service} away',
    { service, who },
    'those of the configuration hold again, if there are any',
  ),
  'service.limit_unreadable': error(
    'limits that an operator set ({uuid}…) cannot be read here: they do not hold',
    { uuid },
    'a later version has set them, and this one does not understand them',
  ),
  'clock.stepped': warn(
    ({ stepMs, pending, replied, dead }) => {
      const how = stepMs > 0 ? `set forward by ${stepMs} ms` : `set back by ${-stepMs} ms`;
      const held = `held are ${pending} pending, ${replied} replied and ${dead} dead requests`;
      return `the clock was ${how}: nothing that is stored expires, and no schedule is due, for 60 s; ${held}`;
    },
    { stepMs: field.number('negative if it was set back'), ...HELD },
    'the wall clock was set: for 60 s nothing of what is stored, as counted, expires, and no schedule is due ([If the clock is wrong](operating.md#if-the-clock-is-wrong))',
  ),
  'clock.behind': warn(
    'the clock is {behindMs} ms before {newest}, when the newest stored request was accepted: nothing that is stored expires until the clock has passed that',
    { behindMs: field.number(), newest: field.string('that time') },
    { subject: 'clock.behind' },
  ),
  'clock.caught_up': info(
    'the clock has passed the time of the newest stored request',
    {},
    { subject: 'clock.behind' },
  ),
  'store.failed': error(
    'the store cannot be written: {text}',
    {
      kind: field.oneOf<StoreFailure['kind']>({
        full: '',
        busy: '',
        fatal: 'the process exits with 74',
      }),
      text,
    },
    {
      when: 'the broker cannot store anything; logged once, but not what follows from `store.lost` or `store.session_lost`',
      subject: 'store.failed',
    },
  ),
  'store.healed': info('the store can be written again', {}, { subject: 'store.failed' }),
  'store.lost': error(
    'the store cannot be reached: {text}',
    { text },
    {
      when: 'the database cannot be reached; logged once',
      counted: 'titanic_store_up',
      subject: 'store.lost',
    },
  ),
  'store.returned': info(
    'the store is back after {awayMs} ms: {host}',
    { host: field.string(), awayMs: field.number() },
    { counted: 'titanic_store_up', subject: 'store.lost' },
  ),
  'store.refused': error(
    'the database does not take a change: {text}',
    { text },
    'the database does not take one change, such as a body that is too large for it, or the rest of a batch: a request is refused with 500, a request with such a reply is dead; others are stored',
  ),
  'store.unread': error(
    'the database refuses to be read, so requests for it get 500: {text}',
    { text: field.string('what it says, and the statement that helps') },
    'the database refuses to be read, for example because a right was taken away: what needs that gets 500; once, until it works again',
  ),
  'store.locked': warn(
    ({ uuid, pid }) => {
      const who = pid === null ? '' : ` (process ${pid} of the server)`;
      return `another session of the database${who} keeps request ${uuid} locked; end its transaction`;
    },
    { uuid, pid: field.orNull(field.number('its process of the server, `null` if unknown')) },
    {
      when: 'another session of the database keeps the row of a request locked: its changes wait for that, others are stored; end the transaction',
      counted: 'titanic_store_retries_total',
    },
  ),
  'store.flooded': warn(
    'somebody floods the channel majordomo of the database (process {pid} of the server): hints of other brokers are dropped',
    { pid: field.number('the process of the server that sent the last one') },
    'more than 5,000 `NOTIFY` a second on the channel `majordomo` of the database: the broker listens for a part of each second only, so it learns up to 250 ms later what others have stored; end that session, and take the right to connect from its role',
  ),
  'store.log_held': warn(
    'the log of the store has {bytes} bytes and cannot be emptied while a program reads the store: {by}',
    { by: field.string('which process'), bytes: field.number() },
    { counted: 'titanic_wal_bytes', subject: 'store.log_held' },
  ),
  'store.log_freed': info(
    'the log of the store can be emptied again',
    {},
    { counted: 'titanic_wal_bytes', subject: 'store.log_held' },
  ),
  'store.switched': warn(
    'the store has failed over: {text}',
    { host: field.string(), text },
    'another server of the database, or another history of it, is used now',
  ),
  'store.session_lost': error(
    'this broker has no session with the store, so it stores nothing: {text}',
    { text },
    {
      when: 'this broker could not renew its session with the database, or the session has ended: it stores nothing, and sends no durable request, until it has one; logged once, but not while the database is lost',
      subject: 'store.session_lost',
    },
  ),
  'store.session_taken': warn(
    'this broker has a session with the store again',
    {},
    { subject: 'store.session_lost' },
  ),
  'store.session_ended': warn(
    'the broker {node} did not renew its session {session} with the store: what it had claimed is free',
    { node: field.string('the name of that broker'), session: field.number() },
  ),
  'store.set_aside': error(
    '{text}; see `majordomo verify`',
    { text: field.string('names the tables') },
    'rows that cannot be used are in tables of their own, from this start or an earlier one: nothing of them is served ([If rows were set aside](operating.md#if-rows-were-set-aside))',
  ),
  'store.known': info(
    ({ how, id }) =>
      `${how === 'made' ? 'created a new store' : 'the data directory now records its store'}: ${id}`,
    { how: field.oneOf({ made: 'a new store', found: 'a store that was already there' }), id },
    'the data directory now records its store',
  ),
  'store.renewed': warn(
    ({ id, aside }) => {
      const moved =
        aside === null ? 'nothing had to be moved aside' : `the previous files are in ${aside}`;
      return `--new-store: the store of this node is now ${id}; ${moved}`;
    },
    {
      id,
      aside: field.orNull(field.string('the path of the old file, or `null`: nothing was moved')),
    },
    'because of `--new-store` the node now has a different store',
  ),
  'store.part_kept': warn(
    'the store has records of part {part}, which no extension of this version knows: they are kept and passed on to the peer',
    { part: field.number() },
  ),
  'store.kept': warn('--new-store had no effect: the store {id} is intact', { id }),
};

function ownerOf({ key, schedule }: { key: string | null; schedule: string }): string {
  return key ?? schedule;
}

export type TitanicEvent = EventOf<typeof TITANIC_EVENTS>;
export type TitanicEvents = EventSink<TitanicEvent>;

/** The steps of a stored request, in the log at level debug. */
export const TITANIC_STEPS = {
  'titanic.accepted': debug('the broker acknowledged it', { uuid, service }),
  'titanic.dispatched': debug('it went to a worker', { uuid, worker: field.number() }),
  'titanic.failed': debug('an attempt ended without a reply', {
    uuid,
    attempts: field.number(),
    reason,
  }),
  'titanic.ended': debug('it has its outcome, on the disk', {
    uuid,
    outcome: field.oneOf({
      replied: '',
      dead: 'it may still be tried again',
      closed: '',
      expired: '',
    }),
  }),
};

export type TitanicStep = EventOf<typeof TITANIC_STEPS>;
export type TitanicEnd = EventOf<typeof TITANIC_STEPS, 'titanic.ended'>['outcome'];

/** Called within the machine's turn, so it may only record the step. */
export type TitanicTrace = (step: TitanicStep) => void;
