import { Stage } from './stage.js';

/** A serving node with these many records, each of 1000 bytes. */
function large(count: number): Stage {
  const stage = Stage.serving({ bytesMax: 2 ** 30 });
  for (let key = 0; key < count; key++) stage.set(`/k/${key}`, 'v'.repeat(1000));
  stage.commit();
  stage.news();
  return stage;
}

const endsIn = (lines: readonly string[]): number[] =>
  lines.filter((line) => line.includes('KTHXBAI')).map((line) => Number.parseInt(line, 10));

describe('a snapshot', () => {
  it('has each record with its own number, and ends with the highest (D49)', () => {
    const stage = Stage.serving();
    stage.set('/a/x', '1', { uuid: 'u', ttl: 5 });
    stage.set('/b/x', '2');
    stage.set('c', '3');
    stage.set('c', '');
    stage.commit();
    stage.news();
    stage.ask(1);
    stage.turn();
    // No uuid and no properties; not the current number, which is 1.4.
    expect(stage.news()).toEqual(['1 1.1 /a/x=1', '1 1.2 /b/x=2', '1 KTHXBAI 1.2']);
    stage.ask(1, '/a/');
    stage.turn();
    expect(stage.news()).toEqual(['1 1.1 /a/x=1', '1 KTHXBAI 1.1 /a/']);
    stage.ask(1, '/c/');
    stage.turn();
    expect(stage.news()).toEqual(['1 KTHXBAI 1.4 /c/']);
    expect(stage.machine.counters.snapshots).toBe(3);
  });

  it('is of one instant, whatever changes while it is sent (D49)', () => {
    const stage = large(1000);
    stage.ask(1);
    stage.machine.run(stage.now);
    expect(endsIn(stage.told)).toEqual([]);
    stage.set('/k/999', 'new');
    stage.set('/k/1', '');
    stage.set('/k/998', '');
    stage.set('/new', '1');
    stage.commit();
    const all = stage.news();
    const sent = all.filter((line) => line.startsWith('1 '));
    expect(sent).toHaveLength(1001);
    expect(sent.at(-1)).toBe('1 KTHXBAI 1.1000');
    expect(sent.join()).not.toContain('new');
    expect(all.filter((line) => !line.startsWith('1 '))).toHaveLength(4);
    expect(stage.wholeMap().map).toMatchObject({ '/k/999': 'new', '/new': '1' });
  });

  it('is sent in pieces, as its client reads (D49)', () => {
    const stage = large(2000);
    stage.ask(1);
    stage.machine.run(stage.now);
    const first = stage.news().length;
    expect(first).toBeLessThan(300);
    stage.machine.snapshots.outputFull(1, stage.now);
    expect(stage.machine.run(stage.now)).toBe(false);
    expect(stage.news()).toEqual([]);
    stage.pass(9000);
    stage.machine.snapshots.drained(1);
    stage.turn();
    expect(stage.news()).toHaveLength(2001 - first);
  });

  it('a client that does not read for ten seconds loses its place', () => {
    const stage = large(1000);
    stage.ask(1);
    stage.machine.run(stage.now);
    stage.machine.snapshots.outputFull(1, stage.now);
    stage.news();
    stage.pass(9_999);
    expect(stage.news()).toEqual([]);
    stage.turn(1);
    expect(stage.news()).toEqual(['1 closed']);
    expect(stage.events.at(-1)).toMatchObject({ name: 'map.stalled' });
    expect(stage.machine.gauges).toMatchObject({ snapshotsRunning: 0, snapshotsWaiting: 0 });
    stage.say(1, 'ICANHAZ?', '');
    stage.turn();
    expect(stage.news()).toEqual([]);
  });

  it('of a slow client ends when as much was replaced as the map may have (D57, D77)', () => {
    const stage = large(1000);
    stage.machine.setBytesMax(20_000_000);
    const value = Buffer.alloc(1024 * 1024);
    stage.put('/large', value);
    stage.ask(1);
    stage.machine.run(stage.now);
    stage.machine.snapshots.outputFull(1, stage.now);
    for (let times = 1; times <= 18; times++) {
      value[0] = times;
      stage.put('/large', value);
      // A renewal is no second copy.
      stage.put('/large', value);
    }
    expect(stage.told).not.toContain('1 closed');
    for (let times = 19; times <= 20; times++) {
      value[0] = times;
      stage.put('/large', value);
    }
    expect(stage.told).toContain('1 closed');
    expect(stage.events.at(-1)).toMatchObject({ name: 'map.stalled' });
    // One that begins now keeps nothing yet.
    stage.news();
    stage.ask(2, '/k/1/');
    stage.turn(1);
    expect(endsIn(stage.news())).toEqual([2]);
  });

  it('at most 16 at once, of one identity 14; others wait, and identities take turns (D49)', () => {
    const stage = large(1000);
    for (let peer = 0; peer < 20; peer++) stage.ask(peer, '', 'greedy');
    stage.machine.run(stage.now);
    expect(stage.machine.gauges).toMatchObject({ snapshotsRunning: 14, snapshotsWaiting: 6 });
    for (let peer = 20; peer < 23; peer++) stage.ask(peer);
    // Copying references has its time, too.
    stage.now += 1;
    stage.machine.run(stage.now);
    expect(stage.machine.gauges).toMatchObject({ snapshotsRunning: 16, snapshotsWaiting: 7 });
    stage.turn();
    stage.turn(1);
    expect(endsIn(stage.news()).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 23 }, (_, peer) => peer),
    );
    expect(stage.machine.gauges).toMatchObject({ snapshotsRunning: 0, snapshotsWaiting: 0 });
  });

  it('costs no copy of the values, and those of one turn share their references', () => {
    const stage = large(100);
    const slice = jest.spyOn(Array.prototype, 'slice');
    for (let peer = 0; peer < 10; peer++) stage.ask(peer);
    stage.machine.run(stage.now);
    const captures = slice.mock.contexts.filter((array) => (array as unknown[]).length === 100);
    slice.mockRestore();
    expect(captures).toHaveLength(1);
    expect(stage.machine.gauges.snapshotsRunning + endsIn(stage.news()).length).toBe(10);
  });

  it('a thousand questions a second: the rest is dropped and counted (D47)', () => {
    const stage = Stage.serving();
    for (let count = 0; count < 1000; count++) {
      stage.ask(1);
      stage.turn(1);
    }
    const answers = endsIn(stage.news()).length;
    expect(answers).toBeGreaterThan(0);
    expect(answers).toBeLessThanOrEqual(16);
    expect(stage.machine.counters.malformed).toBe(1000 - answers);
    // Without an end, no more than four are open.
    for (let count = 0; count < 100; count++) stage.ask(2);
    expect(stage.machine.gauges.snapshotsWaiting).toBe(4);
    stage.machine.snapshots.disconnected(2);
    expect(stage.machine.gauges.snapshotsWaiting).toBe(0);
  });

  it('that waits costs nothing to give up, however many others wait', () => {
    const stage = Stage.serving();
    for (let peer = 1; peer <= 2000; peer++) stage.ask(peer, '', 'ip:all');
    expect(stage.machine.gauges.snapshotsWaiting).toBe(2000);
    const filter = jest.spyOn(Array.prototype, 'filter');
    for (let peer = 1; peer <= 1998; peer++) stage.machine.snapshots.disconnected(peer);
    const lengths = filter.mock.contexts.map((array) => (array as unknown[]).length);
    filter.mockRestore();
    expect(Math.max(0, ...lengths)).toBeLessThan(100);
    expect(stage.machine.gauges.snapshotsWaiting).toBe(2);
    stage.turn();
    expect(stage.news()).toEqual(['1999 KTHXBAI 1.0', '2000 KTHXBAI 1.0']);
  });

  it.each([
    ['without subtree', ['ICANHAZ?']],
    ['with a frame more', ['ICANHAZ?', '', '']],
    ['of another name', ['ICANHAZ', '']],
    ['with a subtree without slashes', ['ICANHAZ?', 'a']],
    ['with a subtree that ends without one', ['ICANHAZ?', '/a']],
    ['with a subtree that begins without one', ['ICANHAZ?', 'a/']],
  ])('%s: dropped and counted (D47)', (_, frames) => {
    const stage = Stage.serving();
    stage.connect(1);
    stage.say(1, ...frames);
    stage.turn();
    expect(stage.news()).toEqual([]);
    expect(stage.machine.counters).toMatchObject({ malformed: 1, snapshots: 0 });
  });
});

it('the empty message of ZMQ_PROBE_ROUTER is no question, and no fault (D113)', () => {
  const stage = Stage.serving();
  stage.connect(1);
  stage.say(1, '');
  stage.turn();
  expect(stage.news()).toEqual([]);
  expect(stage.machine.counters.malformed).toBe(0);
});

describe('HUGZ', () => {
  it('goes out every second from a node that serves, other updates or not (D52)', () => {
    const stage = new Stage();
    stage.load();
    stage.pass(5000);
    expect(stage.told).toEqual([]);
    stage.activate(1);
    for (let tenth = 0; tenth < 30; tenth++) {
      stage.set('a', `${tenth}`);
      stage.commit();
      stage.turn(100);
    }
    expect(stage.told.filter((line) => line === 'HUGZ 0.0')).toHaveLength(4);
    expect(stage.machine.dueAt).toBeLessThanOrEqual(stage.now + 1000);
  });

  it('answers at once a subscription that covers it (D52)', () => {
    const stage = Stage.serving();
    for (const topic of ['', 'H', 'HUGZ', 'HUGZ/', '/a/', 'h']) {
      stage.machine.subscribed(7, Buffer.from(topic));
    }
    expect(stage.news()).toEqual(['7 HUGZ 0.0', '7 HUGZ 0.0', '7 HUGZ 0.0']);
    stage.machine.deactivate(stage.now);
    stage.machine.subscribed(8, Buffer.alloc(0));
    expect(stage.news()).toEqual(['subscribers closed']);
  });
});
