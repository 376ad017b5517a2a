import { byNeed, type ServiceLoad } from '../../../src/core/service-needs.js';

function service(name: string, more: Partial<ServiceLoad> = {}): ServiceLoad {
  return {
    ...{ service: name, workersWaiting: 1, workersBusy: 0, queued: 0, plain: null, durable: null },
    ...more,
  };
}

describe('the order of services', () => {
  it('is by what needs a person: failures, dead, unserved and old requests; then speed, load and name', () => {
    const noWorker = { workersWaiting: 0, queued: 1 };
    const services = [
      service('idle-b'),
      service('idle-a'),
      service('busy', { workersWaiting: 0, workersBusy: 1 }),
      service('fast', { plain: { repliesPerSecond: 900 } }),
      service('old', { workersWaiting: 0, workersBusy: 1, queued: 3, oldestQueuedMs: 11_000 }),
      service('older', { durable: { pending: 9, oldestMs: 12_000 } }),
      service('unserved', noWorker),
      service('dead', { durable: { dead: 2 } }),
      service('failed-before', { failedMsAgo: 59_000 }),
      service('answers-again', { failedMsAgo: 9000, plain: { repliesPerSecond: 2 } }),
      service('failed-long-ago', { failedMsAgo: 61_000, plain: { repliesPerSecond: 1 } }),
      service('fails', { plain: { failuresPerSecond: 1, repliesPerSecond: 500 } }),
      service('attempts-fail', { durable: { failedAttemptsPerSecond: 2 } }),
    ];
    expect(byNeed(services).map((each) => each.service)).toEqual([
      ...['attempts-fail', 'fails', 'failed-before', 'dead', 'unserved', 'older', 'old', 'fast'],
      ...['answers-again', 'failed-long-ago', 'busy', 'idle-a', 'idle-b'],
    ]);
  });
});
