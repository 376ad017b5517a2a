/** The simulation is only worth what it finds: a database and brokers that are broken on purpose. */
import { Fence } from '../../src/extensions/postgres/fence.js';
import { Watch } from '../../src/extensions/postgres/lease.js';
import { Recount } from '../../src/extensions/postgres/recount.js';
import { BatchWriter } from '../../src/extensions/postgres/writer.js';
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
    [
      'a batch that is sent again without a new fencing token',
      /closed and is pending|not over|counts/,
      {
        breaks: () => {
          jest.spyOn(Fence.prototype, 'renew').mockResolvedValue();
        },
        weather: breaking,
      },
      35,
    ],
    [
      'a writer that does not ask what became of a batch in doubt',
      /not over/,
      {
        breaks: () => {
          jest.spyOn(BatchWriter.prototype, 'isInDoubt', 'get').mockReturnValue(false);
        },
        weather: breaking,
      },
      8,
    ],
    [
      'a writer that asks, and does not hear what its batches have claimed',
      /not over/,
      {
        tables: (tables) => {
          tables.claimedOf = async () => await Promise.resolve([]);
        },
        weather: breaking,
      },
      27,
    ],
    [
      'a writer that takes for made what its batch has postponed',
      /unknown before its time|not over/,
      {
        tables: (tables) => {
          const commit = tables.commit.bind(tables);
          tables.commit = async (...given) => {
            const made = await commit(...given);
            return made === null ? null : { ...made, postponed: [] };
          };
        },
        weather: (weather) => ({ ...weather, postponeChance: 1 }),
      },
      2,
    ],
    [
      'a writer that goes on with the session of before',
      /a schedule cannot be made|not over/,
      {
        breaks: () => {
          jest.spyOn(BatchWriter.prototype, 'begin').mockReturnValue();
        },
        weather: pausing,
      },
    ],
    [
      'a lease that forgets that its connection was lost',
      /at once after an outage/,
      {
        breaks: () => {
          jest.spyOn(Watch.prototype, 'over').mockReturnValue();
          jest.spyOn(Watch.prototype, 'restart').mockReturnValue();
        },
        weather: (weather) => ({ ...weather, events: { ...weather.events, outages: 6 } }),
      },
    ],
    [
      'a lease that takes a dead session for renewed',
      /nothing was stored|not over/,
      {
        tables: (tables) => {
          const renew = tables.renew.bind(tables);
          tables.renew = async (...given) => (await renew(...given)) ?? 0;
        },
        weather: pausing,
      },
    ],
    [
      'claims that nobody gives back after their connection broke',
      /not over/,
      {
        tables: (tables) => {
          tables.freeUnknown = async () => await Promise.resolve([]);
        },
        weather: breaking,
      },
      11,
    ],
    [
      'counts that are not taken again while others change the store, too',
      /counts/,
      {
        breaks: () => {
          jest.spyOn(Recount.prototype, 'accompanied').mockReturnValue();
        },
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
