/** The simulation is only worth what it finds: strategies that are broken on purpose. */
import type { Freelance } from '../../src/sdk/client/freelance.js';
import { firstFailure } from './actors/first-failure.js';
import type { FreelanceSabotage } from './freelance/client.js';
import type { FreelanceFault, FreelanceWeather } from './freelance/weather.js';
import { FreelanceWorld } from './freelance/world.js';

/** Runs `during` as one of the strategy's inputs, and tells whether it runs now. */
function inputOf(
  strategy: Freelance,
  input: 'disconnected' | 'tick',
  isRunning: (is: boolean) => void,
): void {
  if (input === 'tick') {
    const tick = strategy.tick.bind(strategy);
    strategy.tick = (now) => {
      isRunning(true);
      tick(now);
      isRunning(false);
    };
  } else {
    const disconnected = strategy.disconnected.bind(strategy);
    strategy.disconnected = (link, now) => {
      isRunning(true);
      disconnected(link, now);
      isRunning(false);
    };
  }
}

/** Faults of one kind, which requests meet often, and clients that ask one server at a time. */
function alone(what: FreelanceFault) {
  return (weather: FreelanceWeather): FreelanceWeather => {
    const habits = {
      hedgeMs: null,
      pingIntervalMs: 40,
      timeoutMs: 900,
      resendMs: 900,
      partsChance: 0,
    };
    return {
      ...weather,
      isRough: [],
      ambushChance: 0.1,
      faults: [{ at: 0, what }],
      clients: weather.clients.map((client) => ({ ...client, ...habits })),
    };
  };
}

/** Nothing is sent while it handles the input. */
function sendsNothing(input: 'disconnected' | 'tick'): FreelanceSabotage {
  let isNow = false;
  return {
    sink: (sink) => ({
      ...sink,
      send: (link, call) => {
        if (!isNow) sink.send(link, call);
      },
    }),
    strategy: (strategy) => {
      inputOf(strategy, input, (is) => {
        isNow = is;
      });
    },
  };
}

/** Every open link is heard of before each tick. */
function hearsAll(): FreelanceSabotage {
  const links = new Set<number>();
  return {
    sink: (sink) => ({
      ...sink,
      open: (link, endpoint) => {
        links.add(link);
        sink.open(link, endpoint);
      },
    }),
    strategy: (strategy) => {
      const tick = strategy.tick.bind(strategy);
      strategy.tick = (now) => {
        for (const link of links) strategy.heard(link);
        tick(now);
      };
    },
  };
}

describe('the simulation finds a strategy that', () => {
  it.each<[string, RegExp, () => FreelanceSabotage, number?]>([
    [
      'never moves requests from a lost server',
      /though a server was sound/,
      () => ({ weather: alone('connection is cut'), ...sendsNothing('disconnected') }),
    ],
    [
      'asks one server twice in an attempt',
      /alive and has it|twice in an attempt/,
      () => ({
        sink: (sink) => ({
          ...sink,
          send: (link, call) => {
            sink.send(link, call);
            if (call.attempt === 2) sink.send(link, call);
          },
        }),
      }),
    ],
    [
      'takes a silent server for alive',
      /though a server was sound/,
      () => ({ weather: alone('connection is cut in silence'), ...hearsAll() }),
    ],
    ['sends nothing when a time is over', /though a server was sound/, () => sendsNothing('tick')],
    [
      'keeps the deadline of a request that was answered',
      /after its end|remembers|settles twice/,
      () => ({
        strategy: (strategy) => {
          strategy.answered = () => undefined;
        },
      }),
    ],
    [
      'keeps what nobody waits for',
      /after its end|remembers|settles twice/,
      () => ({
        strategy: (strategy) => {
          strategy.cancel = () => undefined;
        },
      }),
      18,
    ],
    [
      'accepts the rest of an answer whose parts were dropped',
      /parts/,
      () => ({
        call: (call) => {
          call.accepts = () => true;
        },
      }),
      9,
    ],
    [
      'asks one more though hedgeMs is not set',
      /though [0-2] is alive/,
      () => ({ options: (options) => ({ ...options, hedgeMs: options.hedgeMs ?? 10 }) }),
    ],
    [
      'asks one more before its time',
      /too early/,
      () => ({
        options: (options) => ({ ...options, hedgeMs: options.hedgeMs === null ? null : 10 }),
      }),
    ],
    [
      'sends before it is connected',
      /to no server/,
      () => ({
        sink: (sink) => ({
          ...sink,
          send: (link, call) => sink.send(link + 1, call),
        }),
      }),
    ],
    [
      'does not ask for signs of life',
      /though a server was sound|though [0-2] is alive/,
      () => ({ sink: (sink) => ({ ...sink, ping: () => undefined }) }),
    ],
    [
      'ignores a refusal',
      /though a server was sound|too early/,
      () => ({
        weather: alone('broker drains'),
        strategy: (strategy) => {
          strategy.refused = () => true;
        },
      }),
      104,
    ],
    [
      'gives up a server that was lost once',
      /though a server was sound/,
      () => ({
        sink: (sink) => ({
          ...sink,
          open: (link, endpoint) => {
            if (link <= 3) sink.open(link, endpoint);
          },
        }),
      }),
    ],
    [
      'waits for longer than it may',
      /settles at .* which is after/,
      () => ({
        strategy: (strategy) => {
          const nextMs = strategy.nextMs.bind(strategy);
          strategy.nextMs = () => nextMs() + 50;
        },
      }),
      7,
    ],
  ])('%s', (_what, message, sabotage, likely = 1) => {
    expect(
      firstFailure((seed) => new FreelanceWorld(seed, false, sabotage()).run(), likely),
    ).toMatch(message);
  });
});
