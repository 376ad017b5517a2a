/** The lines of the events of operators, of the broker, of stored requests and of the pair. */
import type { AdminEvent } from '../events.js';
import type { BrokerEvent } from '../../broker/events.js';
import type { PairEvent } from '../../bstar/events.js';
import { EXPIRY_WORDS, failureWords, OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import type { TitanicEvent } from '../../titanic/machine/events.js';
import {
  type Level,
  type Line,
  lineOfKind as of,
  type LinesOf,
  rejectedLine as rejected,
  whoseOf,
} from './log-line.js';

const BROKER_LINES: LinesOf<BrokerEvent> = {
  'worker.registered': (event) =>
    of('info', event.name, `${called(event)} registered for ${event.service}`),
  'worker.lost': (event) => {
    const { name, service, reason, key, address } = event;
    if (reason === 'rights') {
      const whose = whoseOf({ key, address });
      const text = `a worker of ${service} was disconnected, because its right was withdrawn (${whose})`;
      return { ...of('warn', `${name} rights`, text), who: key ?? address };
    }
    const isUsual = reason === 'disconnected' || reason === 'drained';
    const text = `${called(event)} of ${service} was lost: ${reason}`;
    return of(isUsual ? 'info' : 'warn', `${name} ${reason}`, text);
  },
  'worker.refused': (event) => refused(event, `a worker was refused: ${event.reason}`),
  'worker.unexpected': (event) => ({
    ...of('warn', event.name, `a worker was disconnected: ${event.what} (${whoseOf(event)})`),
    who: event.key ?? event.address,
  }),
  'request.requeued': ({ name, service }) =>
    of('info', name, `a request for ${service} was requeued for another worker`),
  'request.expired': ({ name, service, reason }) =>
    of('warn', name, `a request for ${service} expired: ${EXPIRY_WORDS[reason]}`),
  'request.abandoned': ({ name, service, reason }) =>
    of('warn', name, `a request for ${service} was abandoned: ${reason}`),
  'request.dropped': ({ name, service, reason }) => {
    const why = reason === 'cancelled' ? 'its client took it back' : 'its client disconnected';
    return of('info', `${name} ${reason}`, `a request for ${service} was dropped: ${why}`);
  },
  'request.refused': (event) => refused(event, `a request was refused: ${event.text}`),
  'request.failed': (event) => {
    const { name, service } = event;
    const text = `a worker of ${service} (${whoseOf(event)}) failed: ${failureWords(event)}`;
    return { ...of('warn', name, text), who: service };
  },
  'request.returned': ({ name, service }) =>
    of('info', name, `a worker of ${service} gave a request back`),
  'reply.dropped': ({ name, reason }) =>
    of('info', `${name} ${reason}`, `a reply was dropped: ${reason}`),
  'message.malformed': (event) => {
    const { name, kind, reason, command, frame, key, address } = event;
    const what = command === null ? 'a malformed message' : `a malformed ${command}`;
    const where = frame === null ? '' : `frame ${frame}: `;
    const text = `${what} (${whoseOf(event)}): ${where}${reason}`;
    return { ...of('warn', `${name} ${kind}`, text), who: key ?? address };
  },
  'connection.rejected': (event) => rejected(event, 'a connection'),
  'client.closed': ({ name }) => of('warn', name, 'a client that does not read was disconnected'),
};

const TITANIC_LINES: LinesOf<TitanicEvent> = {
  'titanic.recovered': ({ name, pending, replied, dead, tookMs }) => {
    const counts = `${pending} pending, ${replied} replied, ${dead} dead`;
    return of('info', name, `durable requests: ${counts} (${tookMs} ms)`);
  },
  'titanic.retried': ({ name, service }) =>
    of('info', name, `a durable request for ${service} failed and will be retried`),
  'titanic.died': ({ name, service }) =>
    of('warn', name, `a durable request for ${service} is dead`),
  'titanic.expired': ({ name, service }) =>
    of('warn', name, `a durable request for ${service} expired unserved`),
  'titanic.cancelled': ({ name, count, who }) =>
    of('info', name, `${who} cancelled ${count} durable requests`),
  'titanic.reopened': ({ name, count, who }) =>
    of('info', name, `${who} retried ${count} dead requests`),
  'titanic.purged': ({ name, count, who }) =>
    of('warn', name, `${who} deleted ${count} durable requests`),
  'titanic.refused': ({ name, text }) => of('warn', name, `${notStored(text)}: ${text}`),
  'titanic.denied': ({ name, key, address, wanted }) => {
    const who = key ?? address;
    const asked = wanted === 'close' ? 'to close' : 'for the reply of';
    const text = `${who} asked ${asked} a durable request of another client: refused`;
    return { ...of('warn', name, text), who };
  },
  'schedule.made': ({ name, schedule, next }) =>
    of('info', name, `the schedule ${schedule} is due next at ${next}`),
  'schedule.ended': ({ name, schedule, reason }) =>
    of('info', name, `the schedule ${schedule} ended: ${reason}`),
  'schedule.denied': ({ name, schedule, service, key }) => {
    const text = `the schedule ${schedule} was due, but its owner has no right to ${service}`;
    return { ...of('warn', name, text), who: key ?? schedule };
  },
  'schedule.delayed': ({ name, schedule, text: why, key }) => {
    const text = `the schedule ${schedule} is due, and tried again soon: ${why}`;
    return { ...of('warn', name, text), who: key ?? schedule };
  },
  'schedule.paused': ({ name, schedule, who }) =>
    of('warn', name, `${who} paused the schedule ${schedule}`),
  'schedule.resumed': ({ name, schedule, who }) =>
    of('info', name, `${who} resumed the schedule ${schedule}`),
  'schedule.fired': ({ name, schedule, who }) =>
    of('info', name, `${who} had a request stored for the schedule ${schedule}`),
  'service.paused': ({ name, service, who }) =>
    of('warn', name, `${who} paused ${service}: its requests wait`),
  'service.resumed': ({ name, service, who }) => of('info', name, `${who} resumed ${service}`),
  'schedule.unreadable': ({ name, uuid, text }) =>
    of('error', name, `the schedule ${uuid}… cannot be read here: ${text}`),
  'titanic.malformed': ({ name, reason }) =>
    of('warn', name, `a malformed request for titanic.*: ${reason}`),
  'store.failed': ({ name, text }) => ({
    ...of('error', name, `the store cannot be written: ${text}`),
    subject: 'store.failed',
  }),
  'store.healed': ({ name }) => ({
    ...of('info', name, 'the store can be written again'),
    subject: 'store.failed',
  }),
  'store.lost': ({ name, text }) => ({
    ...of('error', name, `the store cannot be reached: ${text}`),
    subject: 'store.lost',
  }),
  'store.returned': ({ name, awayMs, host }) => ({
    ...of('info', name, `the store is back after ${awayMs} ms: ${host}`),
    subject: 'store.lost',
  }),
  'store.refused': ({ name, text }) =>
    of('error', name, `the database does not take a change: ${text}`),
  'store.unread': ({ name, text }) =>
    of('error', name, `the database refuses to be read, so requests for it get 500: ${text}`),
  'store.locked': ({ name, pid, uuid }) => {
    const who = pid === null ? '' : ` (process ${pid} of the server)`;
    const text = `another session of the database${who} keeps request ${uuid} locked; end its transaction`;
    return of('warn', name, text);
  },
  'store.log_held': ({ name, bytes, by }) => {
    const text = `the log of the store has ${bytes} bytes and cannot be emptied while a program reads the store: ${by}`;
    return { ...of('warn', name, text), subject: 'store.log_held' };
  },
  'store.log_freed': ({ name }) => ({
    ...of('info', name, 'the log of the store can be emptied again'),
    subject: 'store.log_held',
  }),
  'store.switched': ({ name, text }) => of('warn', name, `the store has failed over: ${text}`),
  'store.session_lost': ({ name, text: why }) => {
    const text = `this broker has no session with the store, so it stores nothing: ${why}`;
    return { ...of('error', name, text), subject: 'store.session_lost' };
  },
  'store.session_taken': ({ name }) => ({
    ...of('warn', name, 'this broker has a session with the store again'),
    subject: 'store.session_lost',
  }),
  'store.session_ended': ({ name, node, session }) => {
    const text = `the broker ${node} did not renew its session ${session} with the store: what it had claimed is free`;
    return of('warn', name, text);
  },
  'clock.stepped': (event) => {
    const { name, stepMs, pending, replied, dead } = event;
    const how = stepMs > 0 ? `set forward by ${stepMs} ms` : `set back by ${-stepMs} ms`;
    const held = `held are ${pending} pending, ${replied} replied and ${dead} dead requests`;
    const text = `the clock was ${how}: nothing that is stored expires, and no schedule is due, for 60 s; ${held}`;
    return of('warn', name, text);
  },
  'clock.behind': ({ name, newest, behindMs }) => {
    const text = `the clock is ${behindMs} ms before ${newest}, when the newest stored request was accepted: nothing that is stored expires until the clock has passed that`;
    return { ...of('warn', name, text), subject: 'clock.behind' };
  },
  'clock.caught_up': ({ name }) => ({
    ...of('info', name, 'the clock has passed the time of the newest stored request'),
    subject: 'clock.behind',
  }),
  'store.set_aside': ({ name, text }) => of('error', name, `${text}; see \`majordomo verify\``),
  'store.part_kept': ({ name, part }) => {
    const text = `the store has records of part ${part}, which no extension of this version knows: they are kept and passed on to the peer`;
    return of('warn', name, text);
  },
  'store.known': ({ name, how, id }) => {
    const what =
      how === 'made' ? 'created a new store' : 'the data directory now records its store';
    return of('info', name, `${what}: ${id}`);
  },
  'store.renewed': ({ name, id, aside }) => {
    const moved =
      aside === null ? 'nothing had to be moved aside' : `the previous files are in ${aside}`;
    return of('warn', name, `--new-store: the store of this node is now ${id}; ${moved}`);
  },
  'store.kept': ({ name, id }) =>
    of('warn', name, `--new-store had no effect: the store ${id} is intact`),
};

const KEYS_DIFFER =
  'the keys files of the two nodes differ in keys or rights, so a failover changes who may connect; ' +
  'copy them from one node to the other';

const PAIR_LINES: LinesOf<PairEvent> = {
  // Every one is logged: there are few, and together they are the history of the pair.
  'ha.changed': ({ name, from, to, epoch, reason }) =>
    of('warn', `${name} ${epoch} ${to}`, `${from} → ${to}, epoch ${epoch}: ${reason}`),
  'ha.connected': ({ name, peer, version }) => ({
    ...of('info', name, `the peer ${peer} is connected (peer protocol ${version})`),
    subject: 'ha.connected',
  }),
  'ha.disconnected': ({ name }) => ({
    ...of('warn', name, 'lost the connection to the peer'),
    subject: 'ha.connected',
  }),
  'ha.refused': ({ name, code, text, from }) =>
    of(
      'error',
      `${name} ${code}`,
      code === 'by_peer' ? text : `refused to pair with ${from}: ${text}`,
    ),
  'ha.rejected': (event) => rejected(event, 'a connection to bstar.listen'),
  'ha.keys_differ': ({ name }) => of('warn', name, KEYS_DIFFER),
  'ha.merged': ({ name, fromPeer, toPeer, ranTwice }) => {
    const text = `${fromPeer} requests came from the peer, ${toPeer} went to it`;
    return {
      ...of('info', name, `in sync: ${text}, ${ranTwice} ran on both sides`),
      subject: 'ha.merged',
    };
  },
  'ha.unsynced': ({ name }) => ({
    ...of('warn', name, 'the peer is no longer in sync'),
    subject: 'ha.merged',
  }),
  'ha.split': ({ name, epoch, peerEpoch }) => {
    const who = epoch < peerEpoch ? 'this node steps down' : 'the peer steps down';
    const text = `both nodes are active: ${who} (epoch ${epoch}, the peer has ${peerEpoch})`;
    return of('error', name, text);
  },
  'ha.paused': ({ name, stoodMs }) =>
    of('warn', name, `event loop stalled for ${stoodMs} ms; checking the peer before serving`),
  'ha.failed': ({ name, text }) => of('error', name, `could not store data from the peer: ${text}`),
};

const ADMIN_LINES: LinesOf<AdminEvent> = {
  'operator.acted': (event) => actLine('info', event, whoActed(event)),
  'operator.refused': (event) =>
    actLine('warn', event, `${whoActed(event)}: refused (${event.status})`),
};

function actLine(level: Level, { name, act, uuid, who }: AdminEvent, text: string): Line {
  return { ...of(level, `${name} ${act}`, text), who: uuid ?? who };
}

function whoActed({ who, token, act, uuid, address }: AdminEvent): string {
  const by = who === token ? who : `${who}, with the token ${token},`;
  const from = address === null ? 'over a local socket' : `from ${address}`;
  return `${by} ${from}: ${act}${uuid === null ? '' : ` (${uuid})`}`;
}

/** The lines of the events that a node has without any extension. */
export const KERNEL_LINES = { ...ADMIN_LINES, ...BROKER_LINES, ...TITANIC_LINES, ...PAIR_LINES };

function called({ workerName }: { readonly workerName: string | null }): string {
  return workerName === null ? 'a worker' : `the worker ${workerName}`;
}

type Refused = Extract<BrokerEvent, { name: 'worker.refused' | 'request.refused' }>;

/**
 * Clients that look for a pair's active node, or that do not wait for a worker, do nothing wrong.
 */
const USUAL: readonly string[] = ['not_active', 'draining', 'no_worker'];

function refused(event: Refused, said: string): Line {
  const { name, reason, key, address } = event;
  const isUsual = name === 'request.refused' && USUAL.includes(reason);
  if (isUsual) return of('info', `${name} ${reason}`, said);
  const whose = whoseOf({ key, address });
  const line = of('warn', `${name} ${reason}`, `${said} (service ${event.service}, ${whose})`);
  const isOwn = reason === 'rights' || reason === 'too_large';
  return isOwn ? { ...line, who: key ?? address } : line;
}

function notStored(why: string): string {
  const isUnknown = why.startsWith(OUTCOME_UNKNOWN);
  return isUnknown ? 'it is not known whether a request was stored' : 'a request was not stored';
}
