/** The simulation is only worth what it finds: clients, workers and brokers that are broken on purpose. */
import type { LazyPirate } from '../../src/sdk/client/lazy-pirate.js';
import { sdkError } from '../../src/sdk/errors.js';
import { NOT_BEGUN } from '../../src/wire/mdp.js';
import type { ResumeState } from '../../src/wire/mmi.js';
import { firstFailure } from './actors/first-failure.js';
import type { ServiceLimits } from '../../src/broker/options.js';
import { groupOf } from './sessions/groups.js';
import { ONE_EACH, type SessionFault, type SessionsWeather } from './sessions/weather.js';
import type { NodeProcess } from './world/broker-node.js';
import type { Heard } from './sessions/wire.js';
import { type SessionsSabotage, SessionsWorld } from './sessions/world.js';

/** What the broker says of a request, said otherwise. */
function says(from: ResumeState, to: ResumeState): (heard: Heard) => Heard {
  return (heard) => {
    if (heard.kind !== 'resumed' || heard.states === null) return heard;
    return { ...heard, states: heard.states.map((state) => (state === from ? to : state)) };
  };
}

/** What the broker says of the session, said otherwise. */
function greets(change: (resumeMs: number) => number): (heard: Heard) => Heard {
  return (heard) => {
    if (heard.kind !== 'greeted' || heard.session === null) return heard;
    const { session } = heard;
    return { ...heard, session: { ...session, resumeMs: change(session.resumeMs) } };
  };
}

/** All requests are to run once, and these faults hit them at their workers. */
function onceWith(what: SessionFault) {
  return (weather: SessionsWeather): SessionsWeather => ({
    ...weather,
    isCalm: false,
    ambushChance: 0.3,
    faults: [{ at: 0, what }],
    broker: { ...weather.broker, maxDeliveries: 4 },
    clients: weather.clients.map((client) => ({ ...client, onceChance: 1 })),
    workers: weather.workers.map((worker) => ({ ...worker, serveMaxMs: 400 })),
  });
}

/** Many requests of two groups, at workers that take their time. */
function grouped(
  limits: ServiceLimits | null,
  what: SessionFault | null = null,
  groups: SessionsWeather['clients'][0]['groups'] = ['a', 'b'],
) {
  return (weather: SessionsWeather): SessionsWeather => ({
    ...weather,
    limits,
    isCalm: false,
    brokers: 1,
    faults: what === null ? [] : [{ at: 3000, what }],
    clients: weather.clients.map((client) => ({
      ...client,
      requests: 12,
      window: 6,
      gapMaxMs: 50,
      groups,
    })),
    workers: weather.workers.map((worker) => ({ ...worker, serveMaxMs: 6000 })),
  });
}

const TWO_EACH: ServiceLimits = {
  ...ONE_EACH,
  group: { running: 2, perSecond: Infinity, burst: 1 },
};
const FAST: ServiceLimits = {
  service: { running: Infinity, perSecond: 5, burst: 1 },
  group: null,
  holds: false,
};

describe('the simulation finds', () => {
  it.each<[string, RegExp, () => SessionsSabotage]>([
    [
      'a client that sends again without asking',
      /while a delivery of it is out|though its worker has answered|has run/,
      () => ({
        sink: (sink, strategy) => ({
          ...sink,
          resume: (link, sends) => {
            strategy().resumed(
              link,
              sends.map(() => 'unknown'),
              0,
            );
          },
        }),
      }),
    ],
    [
      'a client that sends again under a new id what its broker has',
      /while a delivery of it is out/,
      () => ({ heard: says('open', 'unknown'), renewsIds: true }),
    ],
    [
      'a broker that says of what it has that it never arrived',
      /while a delivery of it is out|has run/,
      () => ({ heard: says('open', 'unknown') }),
    ],
    [
      'a client that gives up what its broker has',
      /has run/,
      () => ({ heard: says('open', 'gone') }),
    ],
    [
      'a client that waits for what never arrived',
      /never settles|ERR_MDP_TIMEOUT/,
      () => ({ heard: says('unknown', 'open') }),
    ],
    [
      'a client that sends again when an answer is late',
      /while a delivery of it is out/,
      () => ({ heard: greets(() => 0) }),
    ],
    [
      'a broker that drops a session when its connection ends',
      /while a delivery of it is out|though its worker has answered|has run/,
      () => ({
        weather: (weather) => ({ ...weather, broker: { ...weather.broker, resumeMs: 1 } }),
        heard: greets(() => 20_000),
      }),
    ],
    [
      'a client that sends to another broker what may run once',
      /may run once, and runs again|has run 2 times/,
      () => ({ weather: onceWith('broker ends'), strategyHearsOnce: false }),
    ],
    [
      'a broker that gives to another worker what may run once',
      /may run once, and runs again|has run 2 times/,
      () => ({ weather: onceWith('worker ends'), brokerHearsOnce: false }),
    ],
    [
      'a worker that says of what runs that it has not begun',
      /may run once, and runs again|has run 2 times/,
      () => ({
        weather: onceWith('worker is closed'),
        closes: (sink, running) => {
          for (const task of running) sink.giveBack(task, `${NOT_BEGUN}: the worker closes`);
        },
      }),
    ],
    [
      'a worker that begins what it has given back',
      /may run once, and runs again|has run 2 times/,
      () => ({
        weather: onceWith('worker is closed'),
        workerSink: (sink) => ({
          ...sink,
          giveBack: (task, reason) => {
            sink.giveBack(task, reason);
            if (reason.startsWith(NOT_BEGUN)) sink.begin(task);
          },
        }),
      }),
    ],
    [
      'a client that says of what may have run that it did not',
      /has run 1 times: ERR_MDP_REFUSED/,
      () => ({
        call: (call) => {
          call.outcomeError = () => sdkError('ERR_MDP_REFUSED', 'it did not run');
        },
      }),
    ],
    [
      'a client that keeps what nobody waits for',
      /settles|still waits|ends once/,
      () => ({ strategy: keepsCancelled }),
    ],
    [
      'a client that does not wait for the end of its time',
      /settles at .* which is after/,
      () => ({
        strategy: (strategy) => {
          const nextMs = strategy.nextMs.bind(strategy);
          strategy.nextMs = () => nextMs() + 50;
        },
      }),
    ],
    [
      'a broker that does not hold a limit of what runs',
      /are out, of which 1 may/,
      () => ({ weather: grouped(ONE_EACH), process: (process) => withLimits(process, TWO_EACH) }),
    ],
    [
      'a broker that does not hold a rate',
      /in its bucket/,
      () => ({
        weather: grouped(FAST),
        process: (process) => withLimits(process, { ...FAST, service: null }),
      }),
    ],
    [
      'a broker that does not wait for what workers still run',
      /starts \d+ ms after the broker/,
      () => ({
        weather: grouped(ONE_EACH, 'broker ends'),
        process: (process) => ({
          ...process,
          options: { ...process.options, heartbeatLiveness: 1 },
        }),
      }),
    ],
    [
      'a worker that does not say what it still runs',
      /run, of which 1 may/,
      () => ({
        weather: grouped(ONE_EACH, 'broker ends'),
        workerSink: (sink) => ({ ...sink, tellRuns: () => undefined }),
        isDeaf: true,
      }),
    ],
    [
      'groups that have no turns',
      /waits while . has/,
      () => ({ weather: grouped(null), group: () => 'a' }),
    ],
    [
      'requests of a group out of order',
      /starts out of order/,
      () => ({
        weather: grouped(null, null, ['a']),
        group: (name) => groupOf(name) + (name.length % 2 === 0 ? '' : '!'),
      }),
    ],
    [
      'a broker that keeps sessions for ever',
      /still holds/,
      () => ({
        process: (process) => ({
          ...process,
          options: { ...process.options, resumeMs: 1_000_000 },
        }),
      }),
    ],
  ])('%s', (_what, message, sabotage) => {
    expect(firstFailure((seed) => new SessionsWorld(seed, false, sabotage()).run())).toMatch(
      message,
    );
  });
});

function withLimits(process: NodeProcess, limits: ServiceLimits | null): NodeProcess {
  return { ...process, limitsOf: () => limits };
}

function keepsCancelled(strategy: LazyPirate): void {
  strategy.cancel = () => undefined;
}
