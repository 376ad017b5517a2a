/**
 * The only place where events become log lines (docs/logs.md also says which metric counts each).
 * Lines that peers can provoke are throttled; the steps of requests, which only the level debug
 * shows, are not.
 */
import type { BrokerEvent, BrokerEvents } from '../../broker/events.js';
import type { RequestStep } from '../../broker/request-trace.js';
import { failureWords, OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import type { PairEvent, PairEvents } from '../../bstar/events.js';
import type { TitanicEvent, TitanicEvents, TitanicStep } from '../../titanic/machine/events.js';
import type { StreamEvent } from '../../stream/events.js';
import type { FleetEvent } from '../../extensions/fleet/machine/events.js';
import type { MapEvent } from '../../extensions/map/machine/events.js';
import type { Log } from './log.js';
import {
  type Level,
  type Line,
  lineOfKind as of,
  rejectedLine as rejected,
  whoseOf,
} from './log-line.js';
import { lineOfFleet } from '../../extensions/fleet/lines.js';
import { lineOfMap } from '../../extensions/map/lines.js';
import type { Throttle } from './throttle.js';

type Event = BrokerEvent | TitanicEvent | PairEvent | StreamEvent | MapEvent | FleetEvent;

/** Events of which the last one tells how it is now: their lines keep their order. */
const OPPOSITES: readonly (readonly [Event['name'], Event['name']])[] = [
  ['ha.connected', 'ha.disconnected'],
  ['ha.merged', 'ha.unsynced'],
  ['store.failed', 'store.healed'],
  ['store.lost', 'store.returned'],
  ['store.log_held', 'store.log_freed'],
  ['map.failed', 'map.healed'],
  ['fleet.connected', 'fleet.disconnected'],
  ['fleet.peer_joined', 'fleet.peer_lost'],
  ['fleet.lease_lost', 'fleet.lease_taken'],
];
const SUBJECTS: ReadonlyMap<string, string> = new Map(
  OPPOSITES.flatMap(([one, other]) => [
    [one, one],
    [other, one],
  ]),
);

export class EventLog implements BrokerEvents, TitanicEvents, PairEvents {
  readonly #log: Log;
  readonly #throttle: Throttle;

  constructor(log: Log, throttle: Throttle) {
    this.#log = log;
    this.#throttle = throttle;
  }

  emit(event: Event): void {
    const { level, kind, text, who = null } = lineOf(event);
    const write = (leftOut: number): void => {
      const { name, ...rest } = event;
      const fields = { event: name, ...rest };
      this.#log[level](leftOut > 0 ? { ...fields, leftOut } : fields, text);
    };
    this.#throttle.write(kind, write, who, SUBJECTS.get(event.name) ?? null);
  }

  /** A step of a plain request. */
  readonly step = (request: number, { name, ...rest }: RequestStep): void => {
    this.#log.debug({ event: name, request, ...rest }, `request ${request}: ${name}`);
  };

  /** A step of a stored request. */
  readonly storedStep = ({ name, ...rest }: TitanicStep): void => {
    this.#log.debug({ event: name, ...rest }, `stored request ${rest.uuid}: ${name}`);
  };
}

/** The level of an event's line. */
export function levelOf(event: Event): Level {
  return lineOf(event).level;
}

function lineOf(event: Event): Line {
  const { name } = event;
  switch (event.name) {
    case 'worker.registered':
      return of('info', name, `${called(event)} registered for ${event.service}`);
    case 'worker.lost':
      if (event.reason === 'rights') return expelled(event);
      return of(
        event.reason === 'disconnected' || event.reason === 'drained' ? 'info' : 'warn',
        `${name} ${event.reason}`,
        `${called(event)} of ${event.service} was lost: ${event.reason}`,
      );
    case 'worker.refused':
      return refused(event, `a worker was refused: ${event.reason}`);
    case 'worker.unexpected':
      return {
        ...of('warn', name, `a worker was expelled: ${event.what} (${whoseOf(event)})`),
        who: event.key ?? event.address,
      };
    case 'request.requeued':
      return of('info', name, `a request for ${event.service} was requeued for another worker`);
    case 'request.expired':
      return of('warn', name, `a request for ${event.service} expired: no worker took it`);
    case 'request.abandoned':
      return of('warn', name, `a request for ${event.service} was abandoned: ${event.reason}`);
    case 'request.dropped':
      return of(
        'info',
        name,
        `a request for ${event.service} was dropped: its client disconnected`,
      );
    case 'request.refused':
      return refused(event, `a request was refused: ${event.text}`);
    case 'request.failed': {
      const said = `a worker of ${event.service} (${whoseOf(event)}) failed: ${failureWords(event)}`;
      return { level: 'warn', kind: name, text: said, who: event.service };
    }
    case 'request.returned':
      return of('info', name, `a worker of ${event.service} gave a request back`);
    case 'reply.dropped':
      return of('info', `${name} ${event.reason}`, `a reply was dropped: ${event.reason}`);
    case 'message.malformed':
      return malformed(event);
    case 'connection.rejected':
      return rejected(event, 'a connection');
    case 'client.closed':
      return of('warn', name, 'a client that does not read was disconnected');
    case 'titanic.recovered':
      return of(
        'info',
        name,
        `stored requests: ${event.pending} pending, ${event.replied} replied, ` +
          `${event.dead} dead (${event.tookMs} ms)`,
      );
    case 'titanic.retried':
      return of('info', name, `a stored request for ${event.service} failed and will be retried`);
    case 'titanic.died':
      return of('warn', name, `a stored request for ${event.service} is dead`);
    case 'titanic.expired':
      return of('warn', name, `a stored request for ${event.service} expired unserved`);
    case 'titanic.cancelled':
      return of('info', name, `an operator cancelled a stored request for ${event.service}`);
    case 'titanic.reopened':
      return of('info', name, `an operator retried ${event.count} dead requests`);
    case 'titanic.purged':
      return of('warn', name, `an operator deleted ${event.count} stored requests`);
    case 'titanic.refused':
      return of('warn', name, `${notStored(event.text)}: ${event.text}`);
    case 'titanic.denied': {
      const who = event.key ?? event.address;
      const wanted = event.wanted === 'close' ? 'to close' : 'for the reply of';
      const text = `${who} asked ${wanted} a stored request of another client: refused`;
      return { ...of('warn', name, text), who };
    }
    case 'schedule.made':
      return of('info', name, `the schedule ${event.schedule} is due next at ${event.next}`);
    case 'schedule.ended':
      return of('info', name, `the schedule ${event.schedule} ended: ${event.reason}`);
    case 'schedule.denied': {
      const text = `the schedule ${event.schedule} was due, but its owner has no right to ${event.service}`;
      return { ...of('warn', name, text), who: event.key ?? event.schedule };
    }
    case 'schedule.delayed': {
      const text = `the schedule ${event.schedule} is due, and tried again soon: ${event.text}`;
      return { ...of('warn', name, text), who: event.key ?? event.schedule };
    }
    case 'schedule.unreadable':
      return of('error', name, `the schedule ${event.uuid}… cannot be read here: ${event.text}`);
    case 'titanic.malformed':
      return of('warn', name, `a malformed request for titanic.*: ${event.reason}`);
    case 'stream.closed': {
      const text = `a subscriber of the events was closed: ${STREAM_CLOSED[event.reason]} (${whoseOf(event)})`;
      return { ...of('warn', `${name} ${event.reason}`, text), who: event.key ?? event.address };
    }
    case 'stream.refused': {
      const text = `a subscription to the events was refused: its key may not have all that begin with '${event.topic}' (${whoseOf(event)})`;
      return { ...of('warn', `${name} rights`, text), who: event.key ?? event.address };
    }
    case 'stream.rejected':
      return rejected(event, 'a connection to events.listen');
    case 'store.failed':
      return of('error', name, `the store cannot be written: ${event.text}`);
    case 'store.healed':
      return of('info', name, 'the store can be written again');
    case 'store.lost':
      return of('error', name, `the store cannot be reached: ${event.text}`);
    case 'store.returned':
      return of('info', name, `the store is back after ${event.awayMs} ms: ${event.host}`);
    case 'store.refused':
      return of('error', name, `the database does not take a change: ${event.text}`);
    case 'store.locked': {
      const who = event.pid === null ? '' : ` (process ${event.pid} of the server)`;
      const text = `another session of the database${who} keeps request ${event.uuid} locked; end its transaction`;
      return of('warn', name, text);
    }
    case 'store.log_held': {
      const text = `the log of the store has ${event.bytes} bytes and cannot be emptied while a program reads the store: ${event.by}`;
      return of('warn', name, text);
    }
    case 'store.log_freed':
      return of('info', name, 'the log of the store can be emptied again');
    case 'store.switched':
      return of('warn', name, `the store has failed over: ${event.text}`);
    case 'fleet.lease_lost':
      return of(
        'error',
        name,
        `this broker has no session with the store, so it stores nothing: ${event.text}`,
      );
    case 'fleet.lease_taken':
      return of('warn', name, 'this broker has a session with the store again');
    case 'fleet.lease_ended': {
      const text = `the broker ${event.node} did not renew its session ${event.session} with the store: what it had claimed is free`;
      return of('warn', name, text);
    }
    case 'store.set_aside':
      return of('error', name, `${event.text}; see \`majordomo verify\``);
    case 'store.known':
      return of('info', name, known(event));
    case 'store.renewed':
      return of('warn', name, renewed(event));
    case 'store.kept':
      return of('warn', name, `--new-store had no effect: the store ${event.id} is intact`);
    case 'map.loaded':
    case 'map.malformed':
    case 'map.refused':
    case 'map.denied':
    case 'map.closed':
    case 'map.stalled':
    case 'map.rejected':
    case 'map.conflicted':
    case 'map.failed':
    case 'map.healed':
      return lineOfMap(event);
    case 'fleet.peer_joined':
    case 'fleet.peer_lost':
    case 'fleet.keys_differ':
    case 'fleet.connected':
    case 'fleet.disconnected':
    case 'fleet.refused':
    case 'fleet.pack_dropped':
      return lineOfFleet(event);
    default:
      return lineOfPair(event);
  }
}

const STREAM_CLOSED = {
  slow: 'too much waits for it',
  limit: 'it subscribed to too much',
} as const;

const KEYS_DIFFER =
  'the keys files of the two nodes differ in keys or rights, so a failover changes who may connect; ' +
  'copy them from one node to the other';

function known({ how, id }: Extract<TitanicEvent, { name: 'store.known' }>): string {
  return how === 'made'
    ? `created a new store: ${id}`
    : `the data directory now records its store: ${id}`;
}

function renewed({ id, aside }: Extract<TitanicEvent, { name: 'store.renewed' }>): string {
  const moved =
    aside === null ? 'nothing had to be moved aside' : `the previous files are in ${aside}`;
  return `--new-store: the store of this node is now ${id}; ${moved}`;
}

function lineOfPair(event: PairEvent): Line {
  const { name } = event;
  switch (event.name) {
    case 'ha.changed': {
      const { from, to, epoch, reason } = event;
      // Every one is logged: there are few, and together they are the history of the pair.
      return of('warn', `${name} ${epoch} ${to}`, `${from} → ${to}, epoch ${epoch}: ${reason}`);
    }
    case 'ha.connected':
      return of(
        'info',
        name,
        `the peer ${event.peer} is connected (peer protocol ${event.version})`,
      );
    case 'ha.disconnected':
      return of('warn', name, 'lost the connection to the peer');
    case 'ha.refused':
      return of(
        'error',
        `${name} ${event.code}`,
        event.code === 'by_peer' ? event.text : `refused to pair with ${event.from}: ${event.text}`,
      );
    case 'ha.rejected':
      return rejected(event, 'a connection to bstar.listen');
    case 'ha.keys_differ':
      return of('warn', name, KEYS_DIFFER);
    case 'ha.merged': {
      const { fromPeer, toPeer, ranTwice } = event;
      const text = `${fromPeer} requests came from the peer, ${toPeer} went to it`;
      return of('info', name, `in sync: ${text}, ${ranTwice} ran on both sides`);
    }
    case 'ha.unsynced':
      return of('warn', name, 'the peer is no longer in sync');
    case 'ha.split': {
      const { epoch, peerEpoch } = event;
      const who = epoch < peerEpoch ? 'this node steps down' : 'the peer steps down';
      const text = `both nodes are active: ${who} (epoch ${epoch}, the peer has ${peerEpoch})`;
      return of('error', name, text);
    }
    case 'ha.paused':
      return of(
        'warn',
        name,
        `event loop stalled for ${event.stoodMs} ms; checking the peer before serving`,
      );
    case 'ha.failed':
      return of('error', name, `could not store data from the peer: ${event.text}`);
  }
}

function called({ workerName }: { readonly workerName: string | null }): string {
  return workerName === null ? 'a worker' : `the worker ${workerName}`;
}

type Refused = Extract<BrokerEvent, { name: 'worker.refused' | 'request.refused' }>;

function expelled({
  name,
  service,
  key,
  address,
}: Extract<BrokerEvent, { name: 'worker.lost' }>): Line {
  const whose = whoseOf({ key, address });
  const text = `a worker of ${service} was expelled, because its right was withdrawn (${whose})`;
  return { ...of('warn', `${name} rights`, text), who: key ?? address };
}

function malformed(event: Extract<BrokerEvent, { name: 'message.malformed' }>): Line {
  const { name, kind, reason, command, frame, key, address } = event;
  const what = command === null ? 'a malformed message' : `a malformed ${command}`;
  const where = frame === null ? '' : `frame ${frame}: `;
  const text = `${what} (${whoseOf(event)}): ${where}${reason}`;
  return { ...of('warn', `${name} ${kind}`, text), who: key ?? address };
}

/**
 * Clients that look for a pair's active node, or that do not wait for a worker, do nothing wrong.
 */
const USUAL: readonly string[] = ['not_active', 'draining', 'no_worker'];

function refused(event: Refused, said: string): Line {
  const { name, reason, key, address } = event;
  const isUsual = name === 'request.refused' && USUAL.includes(reason);
  const line = of(isUsual ? 'info' : 'warn', `${name} ${reason}`, said);
  if (reason !== 'rights' && reason !== 'too_large') return line;
  const whose = whoseOf({ key, address });
  return { ...line, text: `${said} (service ${event.service}, ${whose})`, who: key ?? address };
}

function notStored(why: string): string {
  const isUnknown = why.startsWith(OUTCOME_UNKNOWN);
  return isUnknown ? 'it is not known whether a request was stored' : 'a request was not stored';
}
