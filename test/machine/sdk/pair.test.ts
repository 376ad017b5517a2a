import { PairStage } from './pair-stage.js';

/** How many requests came to a node and were refused or run. */
function arrivals(stage: PairStage): number[] {
  return stage.nodes.map((node) => node.arrivals);
}

/** The node becomes active by the first request that comes when its peer is known to be dead. */
function takesOver(stage: PairStage, deadForMs: number): void {
  const knownAt = stage.now + deadForMs;
  stage.votes = (node) => node === 1 && stage.now >= knownAt;
}

describe('a client and a pair, of which one node serves (§7)', () => {
  it('finds the active one, whichever that is, without any wait', () => {
    const stage = new PairStage();
    stage.becomes(0, 'passive').becomes(1, 'active').ask(1).pass(20);
    expect([stage.outstanding, arrivals(stage)]).toEqual([0, [1, 1]]);
    stage.ask(100).pass(20);
    expect([stage.outstanding, arrivals(stage)]).toEqual([0, [1, 101]]);
  });

  it('1,000 outstanding requests all get their answers when the active is killed', () => {
    const stage = new PairStage({ workMs: 200 });
    stage.ask(1000).pass(100);
    stage.kill(0);
    takesOver(stage, 2000);
    stage.pass(10_000);
    expect([stage.outstanding, stage.failures, stage.answers.size]).toEqual([0, [], 1000]);
    expect(stage.nodes[0]?.ran).toEqual([]);
    expect(new Set(stage.nodes[1]?.ran).size).toBe(1000);
  });

  it('only those that are unanswered are sent again', () => {
    const stage = new PairStage({ workMs: 50 });
    stage.ask(500).pass(100).ask(500).pass(20);
    expect(stage.answers.size).toBe(500);
    stage.kill(0);
    takesOver(stage, 0);
    stage.pass(5000);
    expect(stage.answers.size).toBe(1000);
    expect(stage.nodes[1]?.ran.map(Number).every((id) => id > 500)).toBe(true);
    expect(stage.nodes[1]?.ran).toHaveLength(500);
  });

  it.each([
    [1000, 2000, 3000],
    [200, 400, 900],
    [200, 600, 1100],
  ])(
    'heartbeat %i, the death known after %i ms: the first answer is there within %i ms',
    (heartbeatMs, deadForMs, withinMs) => {
      for (let seed = 0; seed < 10; seed++) {
        const stage = new PairStage({ heartbeatMs, random: () => seed / 10 });
        stage.ask(10).pass(500).ask(10);
        const killedAt = stage.now;
        stage.kill(0);
        takesOver(stage, deadForMs);
        stage.pass(10_000);
        expect([stage.outstanding, stage.failures]).toEqual([0, []]);
        expect(stage.answeredSince(killedAt)[0]).toBeLessThanOrEqual(withinMs);
      }
    },
  );

  it.each([
    [1000, 2000, 2700],
    [200, 400, 700],
    [200, 650, 950],
  ])(
    'the same when the backup was the active one: heartbeat %i, known after %i, answered within %i',
    (heartbeatMs, deadForMs, withinMs) => {
      for (let seed = 0; seed < 10; seed++) {
        const stage = new PairStage({ heartbeatMs, random: () => seed / 10 });
        stage.becomes(0, 'passive').becomes(1, 'active').ask(1).pass(5000).ask(100);
        const killedAt = stage.now;
        stage.kill(1);
        stage.votes = (node) => node === 0 && stage.now >= killedAt + deadForMs;
        stage.pass(10_000);
        expect([stage.outstanding, stage.failures]).toEqual([0, []]);
        expect(stage.answeredSince(killedAt)[0]).toBeLessThanOrEqual(withinMs);
      }
    },
  );

  it('an active that is stopped is left after 2.5 heartbeats, or its time-out if that is more', () => {
    const stage = new PairStage();
    stage.ask(1).pass(1000);
    stage.becomes(0, 'stopped').ask(1000);
    takesOver(stage, 2000);
    const stoppedAt = stage.now;
    stage.pass(20_000);
    expect([stage.outstanding, stage.failures]).toEqual([0, []]);
    expect(stage.answeredSince(stoppedAt)[0]).toBeGreaterThan(2500);
    expect(stage.answeredSince(stoppedAt)[0]).toBeLessThan(2600);
  });

  it('a request with a long time-out is not lost to a node that is stopped', () => {
    const stage = new PairStage();
    stage.ask(1).pass(1000);
    stage.becomes(0, 'stopped').ask(1, { resendMs: 600_000, timeoutMs: 2_400_000 });
    takesOver(stage, 2000);
    stage.pass(5000);
    expect(stage.outstanding).toBe(0);
  });

  it('what a node that was stopped still answers is used, and nothing runs a third time', () => {
    const stage = new PairStage({ workMs: 3000 });
    stage.ask(10, { resendMs: 30_000, timeoutMs: 120_000 }).pass(100);
    stage.becomes(0, 'stopped');
    takesOver(stage, 2000);
    stage.after(4800, () => stage.becomes(0, 'passive')).pass(30_000);
    expect([stage.outstanding, stage.failures]).toEqual([0, []]);
    expect(arrivals(stage)).toEqual([10, 10]);
  });

  it('a lost connection to an active that lives is made anew, and the other node not asked', () => {
    const stage = new PairStage({ workMs: 50 });
    stage.ask(100).pass(20);
    stage.cut(0).pass(1000);
    expect([stage.outstanding, arrivals(stage)]).toEqual([0, [200, 0]]);
  });

  it('a switchover is through within 500 ms, without one error', () => {
    for (let seed = 0; seed < 10; seed++) {
      const stage = new PairStage({ random: () => seed / 10 });
      stage.ask(1).pass(5000);
      const at = stage.now;
      stage.becomes(0, 'passive').ask(100);
      stage.after(100, () => stage.becomes(1, 'active')).pass(500);
      expect([stage.outstanding, stage.failures]).toEqual([0, []]);
      expect(stage.answeredSince(at).at(-1)).toBeLessThanOrEqual(500);
    }
  });

  it('and so is one back', () => {
    const stage = new PairStage();
    stage.becomes(0, 'passive').becomes(1, 'active').ask(1).pass(5000);
    stage.becomes(1, 'passive').ask(1000);
    stage.after(100, () => stage.becomes(0, 'active')).pass(500);
    expect([stage.outstanding, stage.failures]).toEqual([0, []]);
  });

  it('what was at workers when the node gave way is answered by it, and not sent again', () => {
    const stage = new PairStage({ workMs: 300 });
    stage.ask(50).pass(100);
    stage.becomes(0, 'passive').becomes(1, 'active').ask(50).pass(1000);
    expect([stage.outstanding, arrivals(stage)]).toEqual([0, [100, 50]]);
    expect(stage.nodes[0]?.ran).toHaveLength(50);
  });

  it('both refusing for a while is waited for, with pauses', () => {
    const stage = new PairStage();
    stage.becomes(0, 'passive').ask(100).pass(6000);
    expect([stage.outstanding, stage.failures]).toEqual([100, []]);
    const [first = 0, second = 0] = arrivals(stage);
    // Twice a second and request at most, but for the first moments.
    expect(first + second).toBeLessThan(100 * 20);
    stage.becomes(1, 'active').pass(3000);
    expect([stage.outstanding, stage.failures, stage.answers.size]).toEqual([0, [], 100]);
  });

  it('both refusing for longer than all its tries is ERR_MDP_REFUSED', () => {
    const stage = new PairStage();
    stage.becomes(0, 'passive').ask(10).pass(10_100);
    expect(stage.outstanding).toBe(0);
    expect(new Set(stage.failures.map(({ code }) => code))).toEqual(new Set(['ERR_MDP_REFUSED']));
  });

  it('both dead is ERR_MDP_UNREACHABLE, without a storm of dialling', () => {
    const stage = new PairStage();
    stage.kill(0).kill(1).ask(10).pass(10_100);
    expect(new Set(stage.failures.map(({ code }) => code))).toEqual(
      new Set(['ERR_MDP_UNREACHABLE']),
    );
    expect(stage.opened).toBeLessThan(40);
  });

  it('is at rest when nothing is asked', () => {
    const stage = new PairStage();
    stage.ask(100).pass(60_000);
    expect(stage.pirate.nextMs()).toBe(Infinity);
  });
});
