/** A ZeroMQ REP socket behind `majordomo worker --to`: REQ's lock-step, whatever happens to a request. */
import { RepServer } from '../../../../src/cli/requests/bridge/rep-server.js';
import type { Asked } from '../../../../src/cli/requests/bridge/server.js';
import { Frames } from '../../../../src/core/frames.js';
import type { LinkEvents } from '../../../../src/zmtp/link-port.js';
import { fakeTimers } from '../../../support/fake-timers.js';

interface Dialled {
  readonly events: LinkEvents;
  readonly sent: string[];
  isOpen: boolean;
}

/** A server with one lane, and the connections that it made. */
function serverOf(timeoutMs: number | null): {
  readonly server: RepServer;
  readonly lost: string[];
  newest(): Dialled;
} {
  const dialled: Dialled[] = [];
  const lost: string[] = [];
  const dial = (_endpoint: string, events: LinkEvents) => {
    const mine: Dialled = { events, sent: [], isOpen: true };
    dialled.push(mine);
    return {
      write: (bytes: Uint8Array, start: number, end: number) =>
        void mine.sent.push(Buffer.from(bytes.subarray(start, end)).toString()),
      close: () => {
        mine.isOpen = false;
        return Promise.resolve();
      },
    };
  };
  const server = new RepServer(dial, 'tcp://a:1', 1, timeoutMs, (why) => lost.push(why));
  const newest = (): Dialled => dialled.at(-1) ?? fail();
  newest().events.connected();
  return { server, lost, newest };
}

function fail(): never {
  throw new Error('nothing was dialled');
}

function asked(text: string, stop = new AbortController()): Asked {
  const frames = [Buffer.from(text)];
  return { frames, headers: {}, deadlineMs: 0, replyBytesMax: 1000, signal: stop.signal };
}

describe('a request at a REP server that nobody wants any more', () => {
  fakeTimers();

  it('keeps its place until it is answered, and the next one uses the same connection', async () => {
    const { server, newest } = serverOf(null);
    const stop = new AbortController();
    const outcome = server.ask(asked('a', stop));
    stop.abort();
    jest.advanceTimersByTime(59_999);
    expect(await server.ask(asked('b'))).toMatchObject({ kind: 'lost', wasWritten: false });
    const first = newest();
    first.events.message(Frames.of('', 'late'));
    expect(await outcome).toEqual({ kind: 'unwanted' });
    const next = server.ask(asked('c'));
    first.events.message(Frames.of('', 'C'));
    expect(await next).toEqual({ kind: 'reply', frames: [Buffer.from('C')] });
    expect(first).toMatchObject({ isOpen: true, sent: ['', 'a', '', 'c'] });
    expect(newest()).toBe(first);
  });

  it.each([
    { timeoutMs: null, cancelledAtMs: 30_000, overAtMs: 90_000 },
    { timeoutMs: 40_000, cancelledAtMs: 30_000, overAtMs: 40_000 },
  ])('is given up in time, for a new connection: $overAtMs', async (each) => {
    const { server, newest } = serverOf(each.timeoutMs);
    const first = newest();
    const stop = new AbortController();
    const outcome = server.ask(asked('a', stop));
    jest.advanceTimersByTime(each.cancelledAtMs);
    stop.abort();
    jest.advanceTimersByTime(each.overAtMs - each.cancelledAtMs - 1);
    expect(newest()).toBe(first);
    jest.advanceTimersByTime(1);
    expect(await outcome).toMatchObject({ kind: 'lost', isSilent: true });
    expect(first.isOpen).toBe(false);
    expect(newest()).not.toBe(first);
    newest().events.connected();
    const next = server.ask(asked('b'));
    first.events.message(Frames.of('', 'A'));
    newest().events.message(Frames.of('', 'B'));
    expect(await next).toMatchObject({ kind: 'reply', frames: [Buffer.from('B')] });
  });
});
