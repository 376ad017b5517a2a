/** Requests at another broker that nobody wants the answer of any more (D106). */
import { endFleets, fleet, type FleetStage } from '../../support/fleet-stage.js';

afterEach(endFleets);

/** A client's request under the id `a`, and what cancels it. */
function asker(broker: FleetStage): { readonly sends: () => void; readonly cancels: () => void } {
  const client = broker.client('c', { envelope: ['a'] });
  const asks = broker.client('c', { over: client.connection });
  return {
    sends: () => {
      client.request('echo', 'hi');
    },
    cancels: () => {
      asks.request('mmi.cancel', 'a');
    },
  };
}

describe('a request that is out at another broker, and cancelled', () => {
  it.each([true, false])('ends there, and gives its place back (the worker asks: %p)', (cancel) => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo', { cancel });
    const { sends, cancels } = asker(b);
    sends();
    cancels();
    expect(worker.inbox()).toEqual(['REQUEST hi', ...(cancel ? ['CANCEL hi'] : [])]);
    expect(b.broker.load).toMatchObject({ requests: 0, requestsOut: 0 });
    expect(a.machine.load.held).toBe(0);
    // The worker still has it, so nothing else is sent to it.
    const other = b.client('d').request('echo', 'next');
    expect(worker.inbox()).toEqual([]);
    worker.final('in vain');
    // It asks again after a second.
    w.after(1100);
    expect(worker.inbox()).toEqual(['REQUEST next']);
    worker.final('done');
    expect(other.inbox()).toEqual(['FINAL echo done']);
    expect(b.broker.counters).toMatchObject({
      requestsCancelled: 1,
      requestsReplied: 1,
      cancels: 1,
    });
  });

  it('is not given to a worker if both arrive together', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo', { cancel: true });
    const { sends, cancels } = asker(b);
    a.stops();
    sends();
    w.after(5);
    cancels();
    w.after(5);
    a.continues();
    expect(worker.inbox()).toEqual([]);
    expect(b.broker.load).toMatchObject({ requests: 0, requestsOut: 0 });
  });

  it('is finished in vain if the message is lost', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo', { cancel: true });
    const { sends, cancels } = asker(b);
    sends();
    w.fate = () => [];
    cancels();
    w.fate = () => [0];
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    worker.final('in vain');
    expect(b.broker.load).toMatchObject({ requests: 0, requestsOut: 0 });
    expect(a.machine.load.held).toBe(0);
  });
});
