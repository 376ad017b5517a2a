import { ANSWER_MS, type RoutingIdOwner, Takeover } from '../../../src/zmtp/router/takeover.js';
import { fakeTimers } from '../../support/fake-timers.js';

/** A connection in a test's own time. */
class Peer implements RoutingIdOwner {
  isHeldBack = false;
  asked = 0;

  ask(): void {
    this.asked++;
  }
}

let owner: Peer;
let told: string[];
let takeover: Takeover<string>;

function takeoverOf(canAnswer: boolean): Takeover<string> {
  const events = {
    succeeds: (newcomer: string) => told.push(`${newcomer} succeeds`),
    refused: (newcomer: string) => told.push(`${newcomer} is refused`),
  };
  return new Takeover(owner, canAnswer, events, () => Date.now());
}

async function after(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

fakeTimers();
beforeEach(() => {
  owner = new Peer();
  told = [];
  takeover = takeoverOf(true);
});

describe('a newcomer with the routing id of a connection that stands (D102)', () => {
  it('takes its place after 2 s in which that one, once asked, says nothing', async () => {
    expect(takeover.admits('a')).toBe(true);
    expect(owner.asked).toBe(1);
    await after(ANSWER_MS - 1);
    expect(told).toEqual([]);
    await after(2);
    expect([ANSWER_MS, told]).toEqual([2000, ['a succeeds']]);
  });

  it('is refused as soon as that one says anything', async () => {
    takeover.admits('a');
    await after(ANSWER_MS - 1);
    takeover.heard();
    await after(10 * ANSWER_MS);
    expect(told).toEqual(['a is refused']);
  });

  it('is refused if what that one said waits to be read', async () => {
    takeover.admits('a');
    owner.isHeldBack = true;
    await after(ANSWER_MS + 1);
    expect(told).toEqual(['a is refused']);
  });

  it('is refused after 2 s if that one cannot answer', async () => {
    takeover = takeoverOf(false);
    takeover.admits('a');
    await after(ANSWER_MS + 1);
    expect(told).toEqual(['a is refused']);
  });

  it('takes its place as soon as that one is gone', () => {
    takeover.admits('a');
    takeover.left();
    takeover.left();
    expect(told).toEqual(['a succeeds']);
  });

  it('is refused when a later one comes, and however many come, they cause one question in 2 s', async () => {
    for (let more = 0; more < 1000; more++) expect(takeover.admits(`${more}`)).toBe(true);
    expect(jest.getTimerCount()).toBe(1);
    expect(told).toEqual(Array.from({ length: 999 }, (_, number) => `${number} is refused`));
    takeover.heard();
    for (let more = 0; more < 1000; more++) expect(takeover.admits('c')).toBe(false);
    expect(owner.asked).toBe(1);
    await after(ANSWER_MS);
    expect(takeover.admits('d')).toBe(true);
    expect(owner.asked).toBe(2);
    expect(told).toHaveLength(1000);
    expect(jest.getTimerCount()).toBe(1);
  });

  it('that leaves is followed by the next one, for what is left of the 2 s', async () => {
    takeover.admits('a');
    await after(ANSWER_MS - 100);
    takeover.forget('a');
    expect(jest.getTimerCount()).toBe(0);
    expect(takeover.admits('b')).toBe(true);
    await after(101);
    expect([told, owner.asked]).toEqual([['b succeeds'], 1]);
  });

  it('does not gain by a stall of this process: an answer that arrived meanwhile counts', async () => {
    takeover.admits('a');
    // It is read when the timer has fired.
    setTimeout(() => takeover.heard(), ANSWER_MS);
    await after(2 * ANSWER_MS);
    expect(told).toEqual(['a is refused']);
  });
});
