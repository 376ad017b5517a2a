import { inOrder, needOf } from '../../../../src/cli/services/service-loads.js';

const NAMES = ['Pay', 'repay', 'other', 'caf%C3%A9'];
const SERVICES = NAMES.map((service) => ({ service, workersWaiting: 1 }));

describe('services in lists of commands', () => {
  it('are those with a text in their name, as it is shown or as text, in any case', () => {
    const found = (name: string): unknown =>
      inOrder(SERVICES, { name }).map(({ service }) => service);
    expect(found('pay')).toEqual(['Pay', 'repay']);
    expect(found('FÉ')).toEqual(['caf%C3%A9']);
    expect(found('%c3')).toEqual(['caf%C3%A9']);
    expect(found('none')).toEqual([]);
    expect(inOrder(SERVICES, {})).toHaveLength(4);
  });

  it('come in the order of the page, also of a node that does not tell all figures', () => {
    const fails = { service: 'z', plain: { failuresPerSecond: 3 } };
    const failed = { service: 'y', failedMsAgo: 30_000, plain: null, durable: null };
    expect(inOrder([...SERVICES, failed, fails], {}).slice(0, 2)).toEqual([fails, failed]);
  });

  it('say what needs a person', () => {
    const busy = { workersWaiting: 0, workersBusy: 1, queued: 4, oldestQueuedMs: 20_000 };
    expect(needOf({ ...busy, paused: true })).toBe('paused');
    expect(needOf({ ...busy, workersBusy: 0 })).toBe('no worker serves it');
    expect(needOf(busy)).toBe('all workers are busy');
    expect(needOf({ ...busy, oldestQueuedMs: 2000 })).toBe('');
    const failing = { failedMsAgo: 30_000, plain: { failuresPerSecond: 0, repliesPerSecond: 0 } };
    expect(needOf({ workersWaiting: 1, ...failing })).toBe('every request fails');
    expect(needOf({ workersWaiting: 0, ...failing })).toBe('no worker serves it');
    // The broker itself sends webhooks.
    const webhooks = { service: 'titanic.webhook', workersWaiting: 0, durable: { pending: 3 } };
    expect(needOf(webhooks)).toBe('');
    expect(needOf({ ...webhooks, ...failing })).toBe('every request fails');
    const answers = { failuresPerSecond: 1, repliesPerSecond: 1 };
    expect(needOf({ workersWaiting: 1, plain: answers })).toBe('');
  });
});
