/** The attacks to measure, and the configuration of the broker for each. */
import type { AttackName } from '../../test/support/attacks.js';
import { TOKENS } from '../../test/support/programs.js';

export interface Scene {
  readonly name: string;
  readonly title: string;
  /** The unit of what was sent. */
  readonly unit: 'messages' | 'connections' | '';
  readonly attack: AttackName;
  /** Number of connections, or connections per second. */
  readonly count: number;
  /** The broker's `--set` options in addition to its defaults. */
  readonly sets?: readonly string[];
  readonly curve?: true;
  /** The attack is at `events.listen`. */
  readonly atEvents?: true;
  /** The attack is at `http.listen`, with a token for requests to services. */
  readonly atHttp?: true;
  /** The store is a database, and the attack is at that, by a role that may only connect. */
  readonly atDatabase?: true;
  /** A quiet client also stores requests. */
  readonly stores?: true;
  /** A quiet receiver is told of the ends of requests, too. */
  readonly tells?: true;
  /** Commands for the broker's shell to run before it. */
  readonly before?: string;
  /** Not an attack: nothing is judged. */
  readonly isControl?: true;
  /** What holds it back where it misses a bound, and what would meet that. */
  readonly why?: string;
}

export const SCENES: readonly Scene[] = [
  {
    name: 'control',
    title: 'no attack: a process that only uses CPU',
    unit: '',
    attack: 'computing',
    count: 1,
    isControl: true,
  },
  {
    name: 'services',
    title: '`mmi.services` over 8 connections, 10,000 services named',
    unit: 'messages',
    attack: 'services',
    count: 8,
    // One address must be able to use all of these names.
    sets: ['limits.services=12000', 'broker.requestTtlMs=600000'],
  },
  {
    name: 'flood-8',
    title: 'cheap valid messages over 8 connections',
    unit: 'messages',
    attack: 'cheap',
    count: 8,
  },
  {
    name: 'flood-50',
    title: 'cheap valid messages over 50 connections',
    unit: 'messages',
    attack: 'cheap',
    count: 50,
  },
  {
    name: 'waits',
    title: '`titanic.wait` on one uuid over 8 connections',
    unit: 'messages',
    attack: 'waits',
    count: 8,
  },
  {
    name: 'questions',
    title: '`titanic.reply` for one reply of 12 MB: 4 connections read it, 4 do not',
    unit: 'messages',
    attack: 'questions',
    count: 8,
    why: 'Four connections read the reply as fast as they can, so that buffers of 12 MB come and go, and what is free is not given back at once; nobody has measured how much of it that is. With 3 s for each attack instead of 10 it was 362 MiB in 0.1.0.',
  },
  {
    name: 'deaf',
    title: '20 peers that do not read their replies of 1 MB',
    unit: 'messages',
    attack: 'deaf',
    count: 20,
  },
  {
    name: 'partials',
    title: 'PARTIALs of 200 frames, joined for 4 clients of 0.1',
    unit: 'messages',
    attack: 'partials',
    count: 4,
  },
  {
    name: 'curve-silent',
    title: '800 CURVE connections a second, silent after the greeting',
    unit: 'connections',
    attack: 'silent',
    count: 800,
    curve: true,
  },
  {
    name: 'curve-hello',
    title: '800 CURVE connections a second, silent after HELLO',
    unit: 'connections',
    attack: 'hellos',
    count: 800,
    curve: true,
  },
  {
    name: 'descriptors',
    title: '2,000 idle connections; 1,024 file descriptors',
    unit: 'connections',
    attack: 'idle',
    count: 2000,
    before: 'ulimit -n 1024',
  },
  {
    name: 'durable',
    title: 'one connection that stores requests of 1 KB',
    unit: 'messages',
    attack: 'durable',
    count: 1,
    stores: true,
    why: 'Beside what `limits.memoryBytes` counts there are copies on the way to the store’s thread and back, and garbage: V8 marks the heap when it is four times what is alive ([ADR 2](adr/0002-beyond-documented-node.md)). Nobody has measured them apart. A lower factor would take less memory, and more CPU time for each request.',
  },
  {
    name: 'connections',
    title: '1,500 idle connections; `limits.connections` 1,000',
    unit: 'connections',
    attack: 'idle',
    count: 1500,
    sets: ['limits.connections=1000'],
  },
  {
    name: 'lost',
    title:
      '20 workers and their client are reset every second, with 10,000 requests at each worker',
    unit: 'messages',
    attack: 'lost',
    count: 20,
  },
  {
    name: 'subscribers',
    title: '2,000 subscribers to each step of each request',
    unit: 'connections',
    attack: 'subscribers',
    count: 2000,
    atEvents: true,
  },
  {
    name: 'pages',
    title: 'waiting requests of one size after another, of which few stay, over 2 connections',
    unit: 'messages',
    attack: 'pages',
    count: 2,
    sets: ['broker.requestTtlMs=600000'],
  },
  {
    name: 'topics',
    title: '80 subscribers with 9,000 topics of 240 bytes each',
    unit: 'messages',
    attack: 'topics',
    count: 80,
    atEvents: true,
  },
  {
    name: 'leaving',
    title: '80 subscribers that come with 9,000 topics of their own and leave, again and again',
    unit: 'messages',
    attack: 'leaving',
    count: 80,
    atEvents: true,
  },
  {
    name: 'prepared',
    title:
      'names of services, and topics of 4 subscribers, that were made to collide, again and again',
    unit: 'messages',
    attack: 'prepared',
    count: 4,
    atEvents: true,
  },
  {
    name: 'unfinished',
    title: '60 connections that each send a message of 16 MiB but for its last byte',
    unit: 'connections',
    attack: 'unfinished',
    count: 60,
  },
  {
    name: 'schedules',
    title: 'schedules of every second in zones of many spellings over 4 connections',
    unit: 'messages',
    attack: 'schedules',
    count: 4,
    stores: true,
  },
  {
    name: 'keys',
    title: 'durable requests with keys, closed at once, over 4 connections',
    unit: 'messages',
    attack: 'keys',
    count: 4,
    stores: true,
  },
  {
    name: 'webhooks',
    title: '2,500 webhooks to hosts that answer 1xx without end, in single bytes, and never',
    unit: 'connections',
    attack: 'webhooks',
    count: 2500,
    sets: ['http.listen=127.0.0.1:0', 'limits.quotas={shop: {}}', TOKENS],
    tells: true,
    why: 'All hosts share 256 places, four for each host, and the loop; nobody has measured which of them the receiver waits for. With 3 s for each attack instead of 10 it was 159 ms in 0.1.0.',
  },
  {
    name: 'half-open',
    title: '5,000 idle and 1,000 half-open connections',
    unit: 'connections',
    attack: 'halfOpen',
    count: 6000,
  },
  {
    name: 'crumbs',
    title: 'HTTP: bodies of programs in chunks of one byte over 4 connections',
    unit: 'messages',
    attack: 'crumbs',
    count: 4,
    atHttp: true,
  },
  {
    name: 'crumbs-strangers',
    title: 'HTTP: the same without a token over 12 connections',
    unit: 'messages',
    attack: 'strangersCrumbs',
    count: 12,
    atHttp: true,
  },
  {
    name: 'fields',
    title: 'HTTP: heads with 2,600 fields over 8 connections',
    unit: 'messages',
    attack: 'fields',
    count: 8,
    atHttp: true,
  },
  {
    name: 'paths',
    title: 'HTTP: paths, escapes, queries and cookies of 16 KB over 8 connections',
    unit: 'messages',
    attack: 'paths',
    count: 8,
    atHttp: true,
  },
  {
    name: 'pipelined',
    title: 'HTTP: requests that wait for no answer over 8 connections',
    unit: 'messages',
    attack: 'pipelined',
    count: 8,
    atHttp: true,
  },
  {
    name: 'small-parts',
    title:
      'HTTP: 30,000 PARTIALs of 100 empty frames for each request of 8 programs, of which 2 read nothing',
    unit: 'messages',
    attack: 'smallParts',
    count: 8,
    atHttp: true,
  },
  {
    name: 'hints',
    title: 'NOTIFY by a role that may only connect to the database, over 2 connections',
    unit: 'messages',
    attack: 'hints',
    count: 2,
    atDatabase: true,
    stores: true,
  },
  {
    name: 'scrapes',
    title: 'HTTP: 256 scrapes of 1,000 services with names of 255 bytes, which nobody reads',
    unit: 'connections',
    attack: 'scrapes',
    count: 256,
    atHttp: true,
  },
  {
    name: 'counts',
    title: 'HTTP: the counts of 5,000 stored services over 60 connections',
    unit: 'messages',
    attack: 'counts',
    count: 60,
    atHttp: true,
  },
];
