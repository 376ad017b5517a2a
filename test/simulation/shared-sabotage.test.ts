/** The simulation is only worth what it finds: a database and brokers that are broken on purpose. */
import { Watch } from '../../src/extensions/postgres/lease.js';
import type { ClaimedRequest } from '../../src/store/store.js';
import { firstFailureLater } from './actors/first-failure.js';
import type { SharedWeather } from './shared/weather.js';
import { type SharedSabotage, SharedWorld } from './shared/world.js';

/** Brokers are paused for longer than their lease, again and again. */
function pausing(weather: SharedWeather): SharedWeather {
  const events = { outages: 0, cuts: 0, pauses: 30, kills: 0, lockers: 0, refusals: 0 };
  return { ...weather, events, leaseMs: 300 };
}

/** Connections break, often for longer than a batch is tried again, and seldom for a lease. */
function breaking(weather: SharedWeather): SharedWeather {
  const link = {
    delayMaxMs: 1,
    breakChance: 0.1,
    breaksEvery: Infinity,
    cutChance: 0.5,
    standbyMaxMs: 10,
  };
  const events = { outages: 0, cuts: 0, pauses: 0, kills: 0, lockers: 0, refusals: 0 };
  return { ...weather, link, events, leaseMs: 1200, storeTimeoutMs: 100 };
}

/** As if no step of a schedule had to name its claim. */
function unfenced(claimed: ClaimedRequest): ClaimedRequest {
  const isSchedule = claimed.request.kind === 'schedule';
  return isSchedule ? { ...claimed, claim: 0 } : claimed;
}

interface Sabotage extends SharedSabotage {
  /** Breaks the code of the store itself. */
  readonly breaks?: () => void;
}

afterEach(() => {
  jest.restoreAllMocks();
});

describe('the simulation finds', () => {
  it.each<[string, RegExp, Sabotage, number?]>([
    [
      'steps of a broker that has lost its claim',
      /which n[0-9] runs|and nobody has it|and [0-9]+ has it/,
      { conditions: { fencesClaims: false }, weather: pausing },
      60,
    ],
    [
      'statements that arrive after their connection was given up, and are not fenced',
      /not over|which n[0-9] does not have|closed/,
      { conditions: { fencesTokens: false }, weather: breaking },
      67,
    ],
    [
      'what dead sessions had claimed, and is not freed',
      /not over|which is dead/,
      { conditions: { freesDead: false } },
      6,
    ],
    [
      'a claim of what another broker has',
      /which n[0-9] runs|and [0-9]+ has it/,
      { conditions: { claimsOnlyFree: false } },
    ],
    [
      'sessions that are ended at once when the database is back',
      /at once after an outage/,
      {
        breaks: () => {
          const see = jest.spyOn(Watch.prototype, 'see');
          see.mockImplementation((sessions) => sessions.filter(({ isOverdue }) => isOverdue));
        },
      },
    ],
    [
      'a broker that goes on without a session',
      /without a session/,
      {
        replica: (replica) => {
          Object.defineProperty(replica, 'refusal', { get: () => null });
        },
      },
      14,
    ],
    [
      'a broker that keeps what its last session had claimed',
      /and nobody has it|and [0-9]+ has it|which n[0-9] runs/,
      {
        titanic: (titanic) => {
          titanic.taken = () => undefined;
        },
        weather: pausing,
      },
      5,
    ],
    [
      'a schedule that is due without the fence of its claim',
      /fires a schedule that it has not claimed/,
      { claimed: unfenced, weather: pausing },
      9,
    ],
    [
      'a due time that is stored without its key',
      /no request is stored for|is stored [0-9]+ times/,
      { conditions: { keepsKeys: false } },
    ],
    [
      'a broker that does not hear of what it has stored after all',
      /not over/,
      {
        titanic: (titanic) => {
          titanic.foundClaimed = () => undefined;
        },
        weather: breaking,
      },
    ],
  ])('%s', async (_what, message, sabotage, likely = 1) => {
    sabotage.breaks?.();
    const run = async (seed: number): Promise<void> => {
      await new SharedWorld(seed, false, sabotage).run();
    };
    expect(await firstFailureLater(run, likely)).toMatch(message);
  });
});
