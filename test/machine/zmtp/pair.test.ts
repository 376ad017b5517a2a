import { Recorded } from '../../unit/zmtp/wire.js';

type Step = (router: Recorded, dealer: Recorded) => void;

function write(side: Recorded, ...bodies: readonly string[]): void {
  bodies.forEach((body, index) => {
    const bytes = Buffer.from(body, 'latin1');
    side.connection.write(bytes, 0, bytes.length, index < bodies.length - 1);
  });
}

/** What both sides say to each other, once they may. */
const SCRIPT: readonly Step[] = [
  (_, dealer) => write(dealer, '', 'MDPC02', 'echo', 'x'.repeat(300)),
  (router) => {
    router.connection.ping();
    write(router, '');
    write(router, 'answer', '', 'y'.repeat(256));
  },
  (_, dealer) => {
    dealer.connection.ping();
    write(dealer, 'last');
  },
];

const AT_ROUTER = [['', 'MDPC02', 'echo', 'x'.repeat(300)], ['last']];
const AT_DEALER = [[''], ['answer', '', 'y'.repeat(256)]];

function pair(): [Recorded, Recorded] {
  return [new Recorded(undefined, 'ROUTER', true), new Recorded(undefined, 'DEALER', false)];
}

/** Carries bytes to and fro until neither side has any; `cut` ends it after so many bytes. */
function talk(router: Recorded, dealer: Recorded, piece: number, cut = Infinity): number {
  let carried = 0;
  let step = 0;
  const carry = (from: Recorded, to: Recorded): boolean => {
    const bytes = from.sent();
    for (let at = 0; at < bytes.length && carried < cut; at += piece) {
      const part = bytes.subarray(at, Math.min(at + piece, bytes.length, at + cut - carried));
      carried += part.length;
      to.receive(part);
    }
    return bytes.length > 0;
  };
  while (carried < cut) {
    const moved = [carry(router, dealer), carry(dealer, router)].includes(true);
    if (moved) continue;
    const next = SCRIPT[step++];
    if (next === undefined) break;
    if (router.connection.isReady && dealer.connection.isReady) next(router, dealer);
  }
  return carried;
}

describe('both ends of ours', () => {
  it.each([1, 2, 7, 64, 100_000])('understand each other in pieces of %d bytes', (piece) => {
    const [router, dealer] = pair();
    talk(router, dealer, piece);
    expect(router.told[0]).toBe('ready DEALER');
    expect(dealer.told[0]).toBe('ready ROUTER');
    expect(router.messages).toEqual(AT_ROUTER);
    expect(dealer.messages).toEqual(AT_DEALER);
    expect([router.failure, dealer.failure]).toEqual(['', '']);
    expect([router.connection.isInterrupted, dealer.connection.isInterrupted]).toEqual([
      false,
      false,
    ]);
  });

  it('cut at every byte have told a beginning of the same, nothing else, nothing broken', () => {
    const [whole, other] = pair();
    const total = talk(whole, other, 1);
    expect(total).toBeGreaterThan(800);
    for (let cut = 0; cut <= total; cut++) {
      const [router, dealer] = pair();
      expect(talk(router, dealer, 1, cut)).toBe(cut);
      for (const [side, all, messages] of [
        [router, whole.told, AT_ROUTER],
        [dealer, other.told, AT_DEALER],
      ] as const) {
        expect(side.told).toEqual(all.slice(0, side.told.length));
        expect(side.messages).toEqual(messages.slice(0, side.messages.length));
        side.connection.close();
        expect(side.connection.carriedBytes).toBe(0);
      }
    }
  });
});
