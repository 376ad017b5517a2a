import { GlobSet } from '../../../src/core/glob.js';
import { maySubscribe, STEP_TOPICS } from '../../../src/extensions/events/topics.js';
import { extensions } from '../../../src/extensions/list.js';
import { eventsOf } from '../../../src/node/node.js';

const EVENT_TOPICS = [...STEP_TOPICS, ...Object.keys(eventsOf(extensions()))];

function may(globs: readonly string[], topic: string): boolean {
  return maySubscribe(GlobSet.of(globs), Buffer.from(topic), EVENT_TOPICS);
}

describe('the names of events', () => {
  it('are no beginnings of each other, because subscriptions and rights are by beginning', () => {
    for (const name of EVENT_TOPICS) {
      const others = EVENT_TOPICS.filter((other) => other !== name && other.startsWith(name));
      expect([name, others]).toEqual([name, []]);
    }
  });

  it('have the form noun.participle', () => {
    expect(EVENT_TOPICS.filter((name) => !/^[a-z]+\.[a-z_]+$/.test(name))).toEqual([]);
    expect(EVENT_TOPICS.length).toBeGreaterThan(40);
  });
});

describe('the right to subscribe', () => {
  it('is to everything with the glob * only, and to nothing without globs', () => {
    expect(may(['*'], '')).toBe(true);
    expect(may([], '')).toBe(false);
    expect(may([], 'worker.lost')).toBe(false);
    expect(may(['worker.*', 'request.*'], '')).toBe(false);
  });

  it('is to a beginning of which every name matches', () => {
    for (const topic of ['worker.', 'worker', 'wor', 'worker.lost', 'worker.re']) {
      expect([topic, may(['worker.*'], topic)]).toEqual([topic, true]);
    }
    expect(may(['worker.*'], 'request.')).toBe(false);
    expect(may(['worker.lost'], 'worker.lost')).toBe(true);
    expect(may(['worker.lost'], 'worker.l')).toBe(true);
    expect(may(['worker.lost'], 'worker.')).toBe(false);
  });

  it('is not to a beginning that itself matches, but begins names that do not', () => {
    expect(may(['*.re'], 'worker.re')).toBe(false);
    expect(may(['?'], 'w')).toBe(false);
    expect(may(['worker.'], 'worker.')).toBe(false);
  });

  it('to what no event is called is given: nothing is published there', () => {
    expect(may(['worker.*'], 'workers')).toBe(true);
    expect(may(['worker.*'], '\xff\x00')).toBe(true);
  });
});
