import { PairStage } from '../../support/pair-stage.js';

/** Heartbeats come every 1000 ms: a peer is dead after 2000. */
const DEAD_MS = 2100;

describe('the pair starts', () => {
  it('the primary leads when both have just started, and both are in sync soon (§6)', () => {
    const stage = PairStage.inSync();
    expect([stage.primary.state, stage.backup.state]).toEqual(['active', 'passive']);
    expect(stage.primary.machine.isInSync).toBe(true);
    expect([stage.primary.service, stage.backup.service]).toEqual(['serving', 'refusing']);
  });

  it('in any order', () => {
    const stage = new PairStage();
    stage.backup.start();
    stage.pass(5000);
    expect([stage.backup.state, stage.backup.ask()]).toEqual(['waiting', 'refused']);
    stage.primary.start();
    stage.pass(100);
    expect([stage.primary.state, stage.backup.state]).toEqual(['active', 'passive']);
  });

  it('a primary alone serves the first client after its peer was found dead, and that one', () => {
    const stage = new PairStage();
    stage.primary.start();
    stage.pass(1900);
    expect(stage.primary.ask()).toBe('refused');
    stage.pass(200);
    expect(stage.primary.state).toBe('waiting');
    expect(stage.primary.ask()).toBe('held');
    stage.pass(10);
    expect([stage.primary.state, stage.primary.service]).toEqual(['active', 'serving']);
    expect(stage.primary.epochs).toEqual([2]);
  });

  it('a backup alone that was not the last active serves only after promote (D21)', () => {
    const stage = new PairStage();
    stage.backup.start();
    expect(stage.backup.machine.promote()).toMatch(/not known to be dead/);
    stage.pass(DEAD_MS);
    expect(stage.backup.ask()).toBe('refused');
    expect(stage.backup.machine.promote()).toBeNull();
    stage.pass(10);
    expect([stage.backup.state, stage.backup.service]).toEqual(['active', 'serving']);
    expect(stage.backup.replication.probe()).toBe(0);
  });

  it('one that cannot store what its peer has leaves the lead to it, and never leads as well (§6)', () => {
    const stage = new PairStage();
    stage.primary.isDiskFull = true;
    stage.primary.start();
    stage.backup.start();
    for (let times = 0; times < 200; times++) {
      stage.pass(50);
      stage.primary.ask();
      stage.backup.ask();
      const services = [stage.primary.service, stage.backup.service];
      expect(services).not.toEqual(['serving', 'serving']);
    }
    expect(stage.backup.service).toBe('serving');
  });

  it('a peer that comes anew while its active is being written changes nothing of that (§6)', () => {
    const stage = new PairStage({ replication: 'off' });
    stage.primary.start();
    stage.backup.start();
    const { machine } = stage.primary;
    for (let ms = 0; machine.facts.writing?.goal !== 'activate'; ms++) {
      expect(ms).toBeLessThan(60_000);
      stage.pass(1);
    }
    const { epoch } = machine.facts;
    machine.connected();
    machine.message({ kind: 'join', epoch, holds: null });
    stage.pass(100);
    expect(stage.primary.state).toBe('active');
    expect(stage.primary.epochs).toEqual([epoch, epoch]);
  });
});

describe('failover', () => {
  it('takes a dead peer and a client (§6, the vote)', () => {
    const stage = PairStage.inSync();
    stage.primary.crash();
    stage.pass(1500);
    expect(stage.backup.ask()).toBe('refused');
    stage.pass(700);
    expect(stage.backup.state).toBe('passive');
    expect(stage.backup.ask()).toBe('held');
    stage.pass(10);
    expect(stage.backup.state).toBe('active');
    expect(stage.backup.machine.facts.epoch).toBe(3);
  });

  it('the returning primary follows, and is sent only what it may lack (D20)', () => {
    const stage = PairStage.inSync();
    for (const word of ['a', 'b', 'c', 'd', 'e']) {
      stage.primary.store(word);
      stage.pass(10);
    }
    stage.primary.crash();
    stage.pass(DEAD_MS);
    stage.backup.ask();
    stage.pass(10);
    stage.backup.store('f');
    stage.pass(10);
    stage.primary.start();
    const before = stage.primary.recordsGot;
    stage.pass(100);
    expect([stage.primary.state, stage.backup.state]).toEqual(['passive', 'active']);
    expect(stage.backup.machine.isInSync).toBe(true);
    // 'f', and 'e': the crash came before the primary wrote which transaction the backup made of it.
    expect(stage.primary.recordsGot - before).toBe(2);
    expect(stage.primary.words).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  it('a backup that was the last active serves alone again after a restart (§6)', () => {
    const stage = PairStage.inSync();
    stage.primary.crash();
    stage.pass(DEAD_MS);
    stage.backup.ask();
    stage.pass(10);
    stage.backup.crash();
    stage.backup.start();
    stage.pass(DEAD_MS);
    expect(stage.backup.ask()).toBe('held');
    stage.pass(10);
    expect(stage.backup.state).toBe('active');
    expect(stage.backup.epochs).toEqual([2, 3, 5]);
  });
});

describe('replication', () => {
  it('sync: what is stored is acknowledged when both have it (D14)', () => {
    const stage = PairStage.inSync();
    stage.primary.store('a');
    stage.pass(3);
    expect(stage.primary.words).toEqual(['a']);
    expect(stage.primary.acknowledged).toEqual([]);
    stage.pass(5);
    expect(stage.primary.acknowledged).toEqual(['a']);
    expect(stage.backup.words).toEqual(['a']);
  });

  it('sync: without its peer the active goes on alone, once it is sure (§6)', () => {
    const stage = PairStage.inSync();
    stage.backup.crash();
    stage.pass(10);
    stage.primary.store('a');
    stage.pass(1000);
    expect(stage.primary.acknowledged).toEqual([]);
    stage.pass(1200);
    expect(stage.primary.acknowledged).toEqual(['a']);
    stage.primary.store('b');
    stage.pass(5);
    expect(stage.primary.acknowledged).toEqual(['a', 'b']);
  });

  it('async: nothing waits for the peer', () => {
    const stage = PairStage.inSync({ replication: 'async' });
    stage.primary.store('a');
    stage.pass(3);
    expect(stage.primary.acknowledged).toEqual(['a']);
    stage.pass(10);
    expect(stage.backup.words).toEqual(['a']);
  });

  it('off: nothing travels, and both are in sync', () => {
    const stage = PairStage.inSync({ replication: 'off' });
    expect(stage.primary.machine.isInSync).toBe(true);
    stage.primary.store('a');
    stage.pass(20);
    expect(stage.primary.acknowledged).toEqual(['a']);
    expect(stage.backup.words).toEqual([]);
  });

  it('a peer that does not confirm for two heartbeats has to join anew (§6)', () => {
    const stage = PairStage.inSync();
    stage.backup.isDiskFull = true;
    stage.primary.store('a');
    stage.pass(2500);
    expect(stage.primary.acknowledged).toEqual(['a']);
    expect(stage.primary.machine.isInSync).toBe(false);
    stage.backup.isDiskFull = false;
    stage.pass(30_000);
    expect(stage.primary.machine.isInSync).toBe(true);
    expect(stage.backup.words).toEqual(['a']);
  });

  it('what the active could not keep itself comes back from the peer that has it', () => {
    const stage = PairStage.inSync();
    stage.primary.isDiskFull = true;
    stage.primary.store('a');
    stage.pass(3);
    stage.primary.isDiskFull = false;
    stage.pass(100);
    expect(stage.primary.acknowledged).toEqual([]);
    expect(stage.primary.machine.isInSync).toBe(true);
    expect([stage.primary.words, stage.backup.words]).toEqual([['a'], ['a']]);
  });

  it('a full disk makes no peer dead: no vote counts, and it joins when there is room', () => {
    const stage = PairStage.inSync();
    stage.backup.isDiskFull = true;
    for (let second = 0; second < 60; second++) {
      stage.primary.store(`word${second}`);
      stage.pass(1000);
      expect(stage.backup.ask()).toBe('refused');
      expect([stage.primary.service, stage.backup.state]).toEqual(['serving', 'passive']);
    }
    expect(stage.primary.acknowledged.length).toBeGreaterThan(50);
    stage.backup.isDiskFull = false;
    stage.pass(61_000);
    expect(stage.primary.machine.isInSync).toBe(true);
    expect(stage.backup.words).toEqual(stage.primary.words);
  });

  it('an active whose disk is full goes on, and takes what its peer has when there is room', () => {
    const stage = PairStage.inSync();
    stage.cut();
    stage.pass(2500);
    stage.backup.ask();
    stage.pass(10);
    stage.primary.store('a');
    stage.pass(10);
    stage.backup.isDiskFull = true;
    stage.heal();
    for (let second = 0; second < 20; second++) {
      stage.pass(1000);
      expect([stage.backup.service, stage.primary.state]).toEqual(['serving', 'passive']);
      expect(stage.primary.ask()).toBe('refused');
    }
    stage.backup.isDiskFull = false;
    stage.pass(61_000);
    expect(stage.backup.machine.isInSync).toBe(true);
    expect(stage.backup.words).toEqual(['a']);
  });

  it('a reading that fails lets nothing pass for stored that is on its way to the disk yet', () => {
    const stage = PairStage.inSync();
    stage.backup.takesMs = 3000;
    stage.primary.store('a');
    stage.pass(10);
    stage.backup.failReading();
    stage.primary.store('b');
    for (let ms = 0; ms < 10_000; ms += 10) {
      stage.pass(10);
      const isAhead = stage.primary.machine.isInSync && !stage.backup.words.includes('b');
      expect([ms, isAhead]).toEqual([ms, false]);
    }
  });

  it('while a slow peer catches up nothing waits for it (§6, the last chunk)', () => {
    const stage = new PairStage();
    stage.primary.start();
    stage.pass(DEAD_MS);
    stage.primary.ask();
    stage.pass(10);
    for (let index = 0; index < 40; index++) {
      stage.primary.store(`word${index}`);
      stage.pass(5);
    }
    stage.backup.takesMs = 300;
    stage.backup.start();
    stage.pass(500);
    for (let index = 40; index < 740; index++) {
      stage.primary.store(`word${index}`);
      stage.pass(1);
      // That one is on its way to the disk here.
      expect(stage.primary.waiting.size).toBeLessThanOrEqual(1);
    }
    stage.backup.takesMs = 2;
    stage.pass(30_000);
    expect(stage.primary.machine.isInSync).toBe(true);
    expect(stage.backup.words).toEqual(stage.primary.words);
  });

  it('catches up while service goes on, and what comes meanwhile is not lost', () => {
    const stage = new PairStage();
    stage.primary.start();
    stage.pass(DEAD_MS);
    stage.primary.ask();
    stage.pass(10);
    for (let index = 0; index < 40; index++) {
      stage.primary.store(`word${String(index).padStart(2, '0')}`);
      stage.pass(5);
    }
    stage.backup.start();
    for (let index = 40; index < 80; index++) {
      stage.primary.store(`word${index}`);
      stage.pass(3);
    }
    stage.pass(200);
    expect(stage.primary.machine.isInSync).toBe(true);
    expect(stage.backup.words).toEqual(stage.primary.words);
    expect(stage.primary.acknowledged).toHaveLength(80);
  });
});

describe('split and merge', () => {
  it('a cut makes two actives; the higher epoch stays, both histories join (D13, D17)', () => {
    const stage = PairStage.inSync();
    stage.cut();
    stage.pass(2500);
    expect(stage.backup.ask()).toBe('held');
    stage.pass(10);
    stage.primary.store('a');
    stage.backup.store('b');
    stage.pass(10);
    expect([stage.primary.service, stage.backup.service]).toEqual(['serving', 'serving']);
    expect([stage.primary.acknowledged, stage.backup.acknowledged]).toEqual([['a'], ['b']]);
    stage.heal();
    stage.pass(100);
    expect([stage.primary.state, stage.backup.state]).toEqual(['passive', 'active']);
    expect(stage.backup.machine.isInSync).toBe(true);
    expect([stage.primary.words, stage.backup.words]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(stage.primary.splits).toBe(1);
    expect(stage.backup.joins.at(-1)).toEqual({ fromPeer: 1, toPeer: 1, ranTwice: 0 });
  });

  it('what an active held back when it steps down is never acknowledged (§6)', () => {
    const stage = PairStage.inSync();
    stage.cut();
    stage.pass(1000);
    stage.primary.store('a');
    stage.primary.stop();
    stage.pass(2500);
    stage.backup.ask();
    stage.pass(10);
    stage.heal();
    stage.primary.go();
    stage.pass(100);
    expect(stage.primary.state).toBe('passive');
    expect(stage.primary.acknowledged).toEqual([]);
    expect(stage.primary.dropped).toEqual(['a']);
  });
});

describe('a pause is a partition (D19)', () => {
  it('a node that stood still serves nothing before it knows what became of its peer', () => {
    const stage = PairStage.inSync();
    stage.primary.stop();
    stage.pass(2500);
    stage.backup.ask();
    stage.pass(10);
    stage.primary.go();
    stage.pass(0);
    expect(stage.primary.service).toBe('holding');
    stage.pass(100);
    expect([stage.primary.state, stage.backup.state]).toEqual(['passive', 'active']);
    expect([stage.primary.service, stage.backup.service]).toEqual(['refusing', 'serving']);
  });

  it('what still comes over the connection that it closed tells it nothing', () => {
    const { backup } = PairStage.inSync();
    expect(backup.machine.look(1_000_000)).toBeGreaterThan(1000);
    const status = {
      kind: 'status',
      state: 'active',
      epoch: 2,
      offers: false,
      holds: null,
      keys: null,
      listenerKeys: null,
    } as const;
    backup.machine.message(status);
    expect(backup.machine.facts).toMatchObject({ link: false, peer: null, fenced: true });
  });

  it('a short one costs a new join, and no failover', () => {
    const stage = PairStage.inSync();
    stage.primary.stop();
    stage.pass(1200);
    stage.primary.go();
    stage.pass(100);
    expect([stage.primary.state, stage.backup.state]).toEqual(['active', 'passive']);
    expect(stage.primary.machine.isInSync).toBe(true);
  });
});

describe('hand-over', () => {
  it('a switchover moves the service to a peer in sync, and back (§6)', () => {
    const stage = PairStage.inSync();
    stage.primary.store('a');
    stage.pass(20);
    expect(stage.backup.machine.switchover()).toMatch(/passive, not active/);
    expect(stage.primary.replication.isHandingOver).toBe(false);
    expect(stage.primary.machine.switchover()).toBeNull();
    expect(stage.primary.replication.isHandingOver).toBe(true);
    expect(stage.primary.replication.partReplica(1).isHandingOver).toBe(true);
    stage.pass(50);
    expect([stage.primary.state, stage.backup.state]).toEqual(['passive', 'active']);
    expect(stage.backup.machine.isInSync).toBe(true);
    expect(stage.backup.machine.switchover()).toBeNull();
    stage.pass(50);
    expect([stage.primary.state, stage.backup.state]).toEqual(['active', 'passive']);
    expect(stage.backup.recordsGot + stage.primary.recordsGot).toBe(0);
  });

  it('without a peer in sync it is refused, with the reason', () => {
    const stage = PairStage.inSync();
    stage.backup.crash();
    stage.pass(10);
    expect(stage.primary.machine.switchover()).toBe('the peer is not in sync');
  });

  it('nobody takes over: the active carries on', () => {
    const stage = PairStage.inSync();
    stage.cut();
    expect(stage.primary.machine.switchover()).toBeNull();
    stage.pass(10);
    expect(stage.primary.service).toBe('holding');
    stage.pass(2500);
    expect([stage.primary.state, stage.primary.service]).toEqual(['active', 'serving']);
  });
});

describe('a message that takes longer than two heartbeats to send', () => {
  /** Thirteen seconds over ten megabits a second. */
  const LARGE = 'x'.repeat(16 * 1024 * 1024);
  const SLOW = { bytesPerMs: 1250 };

  it.each(['primary', 'backup'] as const)(
    'brings the peer of the %s back in sync: bytes that come are a sign of life (§6)',
    (name) => {
      const stage = PairStage.inSync(SLOW);
      const active = stage[name];
      if (name === 'backup') expect(stage.primary.machine.switchover()).toBeNull();
      stage.pass(100);
      const other = stage.other(active);
      other.crash();
      stage.pass(DEAD_MS);
      active.store(LARGE);
      stage.pass(10);
      other.start();
      stage.pass(1000);
      const { connection } = stage;
      expect(active.machine.isInSync).toBe(false);
      // What is stored meanwhile does not wait for it.
      active.store('short');
      stage.pass(10);
      expect(active.acknowledged.at(-1)).toBe('short');
      stage.pass(15_000);
      expect(active.machine.isInSync).toBe(true);
      expect(other.words).toEqual(['short', LARGE]);
      expect(stage.connection).toBe(connection);
    },
  );

  it('is not waited for where its receipt waits: the active goes on alone, and heals (§6)', () => {
    const stage = PairStage.inSync(SLOW);
    const { connection } = stage;
    stage.primary.store(LARGE);
    stage.pass(DEAD_MS);
    expect(stage.primary.acknowledged).toEqual([LARGE]);
    expect(stage.primary.machine.isInSync).toBe(false);
    stage.pass(20_000);
    expect(stage.primary.machine.isInSync).toBe(true);
    expect(stage.backup.words).toEqual([LARGE]);
    expect(stage.connection).toBe(connection + 1);
  });

  it('is told to its sender while it comes, so that the link is not given up (D22)', () => {
    const stage = PairStage.inSync(SLOW);
    stage.backup.crash();
    stage.pass(DEAD_MS);
    stage.primary.store(LARGE);
    stage.pass(10);
    stage.backup.start();
    stage.pass(1000);
    const heard: number[] = [];
    for (let ms = 0; ms < 10_000; ms += 10) {
      stage.pass(10);
      heard.push(stage.primary.machine.heardMsAgo(stage.now));
    }
    expect(Math.max(...heard)).toBeLessThan(250);
  });
});

describe('400 needs certainty', () => {
  it('a peer that follows answers a probe; one that does not leaves it open', () => {
    const stage = PairStage.inSync();
    const number = stage.primary.replication.probe();
    stage.pass(5);
    expect(stage.primary.probes.at(-1)).toBe(number);
    stage.cut();
    stage.primary.replication.probe();
    stage.pass(2500);
    expect(stage.primary.probes.at(-1)).toBe(-1);
    expect(stage.primary.replication.probe()).toBeNull();
    expect(stage.backup.replication.probe()).toBeNull();
  });
});

describe('a node that is refused as the peer, or refuses this one, is alive (D13)', () => {
  const SIGN = { againMs: 1000, epoch: 0 };

  function refusedEvery(againMs: number, forMs: number, stage: PairStage): void {
    for (let ms = 0; ms < forMs; ms += againMs) {
      stage.backup.machine.refused({ ...SIGN, againMs });
      stage.pass(againMs);
    }
  }

  /** A backup whose peer was active, and is back with another configuration. */
  function withoutPeer(): PairStage {
    const stage = PairStage.inSync();
    stage.primary.crash();
    stage.pass(10);
    return stage;
  }

  it('so no client makes the other one active, however long it is refused', () => {
    const stage = withoutPeer();
    refusedEvery(1000, 10_000, stage);
    expect(stage.backup.ask()).toBe('refused');
    expect(stage.backup.state).toBe('passive');
    expect(stage.backup.machine.promote()).toMatch(/not known to be dead/);
  });

  it('also if it tries again more rarely than this node has heartbeats', () => {
    const stage = withoutPeer();
    refusedEvery(10_000, 40_000, stage);
    expect(stage.backup.ask()).toBe('refused');
  });

  it('and after it was found dead', () => {
    const stage = withoutPeer();
    stage.pass(DEAD_MS);
    expect(stage.backup.service).toBe('voting');
    stage.backup.machine.refused(SIGN);
    expect(stage.backup.service).toBe('refusing');
  });

  it('but is dead once it is silent', () => {
    const stage = withoutPeer();
    refusedEvery(1000, 5000, stage);
    stage.pass(DEAD_MS);
    expect(stage.backup.ask()).toBe('held');
  });

  it('beside a connection it shows nothing: that of a stranger keeps no dead peer alive', () => {
    const stage = PairStage.inSync();
    stage.primary.stop();
    refusedEvery(500, 2000, stage);
    stage.pass(DEAD_MS - 2000);
    expect(stage.backup.machine.facts.peerDead).toBe(true);
  });

  it('a stalled active node goes on beside it, or steps down if it took over meanwhile (D19)', () => {
    for (const [epoch, state, service] of [
      [0, 'active', 'serving'],
      [3, 'passive', 'refusing'],
    ] as const) {
      const stage = PairStage.inSync();
      stage.backup.crash();
      stage.pass(DEAD_MS);
      stage.primary.stop();
      stage.pass(5000);
      stage.primary.go();
      stage.pass(1);
      expect(stage.primary.service).toBe('holding');
      stage.primary.machine.refused({ ...SIGN, epoch });
      stage.pass(10);
      expect([stage.primary.state, stage.primary.service]).toEqual([state, service]);
      expect(stage.primary.disk.wasActive).toBe(state === 'active');
    }
  });
});
