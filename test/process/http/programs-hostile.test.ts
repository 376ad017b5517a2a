import { ask, httpOf, RawHttp } from '../../support/http.js';
import { endStands, openStand, OTHER, type ProgramStand, SHOP } from '../../support/programs.js';
import { RawSocket } from '../../support/raw-socket.js';
import { until } from '../../support/until.js';
import { frame } from '../../unit/zmtp/wire.js';

const raws: RawHttp[] = [];

const MIB = 1024 * 1024;
afterEach(async () => {
  for (const raw of raws.splice(0)) raw.socket.destroy();
  await endStands();
});

/** Begins a request over a connection of its own. */
function begin(
  stand: ProgramStand,
  token: string,
  length: number,
  ...more: readonly string[]
): RawHttp {
  const raw = new RawHttp(httpOf(stand.daemon));
  raws.push(raw);
  raw.send(
    'POST /api/v1/services/work/requests HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    `Content-Length: ${length}`,
    ...more,
    '',
  );
  return raw;
}

const never = (): Promise<string> => new Promise(() => undefined);

/** The events of a stream so far: their names. */
function eventsIn({ received }: RawHttp): string[] {
  return Array.from(received.matchAll(/^event: (\w+)$/gm), ([, name = '']) => name);
}

describe('a stream over HTTP', () => {
  it('is sent part by part as events, and ends with the reply', async () => {
    const stand = await openStand();
    let go = (): void => undefined;
    await stand.serve(async function* stream() {
      yield 'one';
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      yield 'two';
      return 'end';
    });
    const raw = begin(stand, SHOP, 1, 'Accept: text/event-stream');
    raw.socket.write('x');
    // The first part is here before the second is made.
    await raw.until('{"encoding":"utf8","data":"one"}');
    expect(raw.received).toContain('content-type: text/event-stream');
    expect(eventsIn(raw)).toEqual(['partial']);
    go();
    await raw.until('event: reply');
    await until(() => eventsIn(raw).length === 3, 'three events');
    expect(eventsIn(raw)).toEqual(['partial', 'partial', 'reply']);
    await stand.untilNothingIsHeld();
  });

  it('that fails before its first part is an error with its status, and after it an event', async () => {
    const stand = await openStand();
    await stand.serve(async function* stream(asked) {
      await Promise.resolve();
      if (asked.text() === 'late') yield 'part';
      throw new Error('broken');
    });
    const headers = { accept: 'text/event-stream' };
    expect((await stand.request('early', { headers })).status).toBe(422);
    const { status, text } = await stand.request('late', { headers });
    expect(status).toBe(200);
    expect(text).toMatch(
      /^event: partial\ndata: .*\n\nevent: error\ndata: \{"error":\{"code":"ERR_HTTP_FAILED".*\n\n$/,
    );
  });

  it('whose reader does not read is ended at limits.outputBytes, and memory is given back', async () => {
    const stand = await openStand('{}', 'limits.outputBytes=1MiB', 'limits.messageBytes=1MiB');
    let isStopped = false;
    await stand.serve(async function* stream() {
      const part = 'x'.repeat(64 * 1024);
      while (!isStopped) {
        yield part;
        await new Promise((resolve) => {
          setTimeout(resolve, 2);
        });
      }
      return 'end';
    });
    const raw = begin(stand, SHOP, 1, 'Accept: text/event-stream');
    raw.socket.write('x');
    raw.socket.pause();
    expect(await stand.daemon.waitFor('client.closed')).toMatchObject({ reason: 'slow_client' });
    isStopped = true;
    await stand.untilNothingIsHeld();
    expect((await ask(`${httpOf(stand.daemon)}/livez`)).status).toBe(200);
  });
});

describe('a body over limits.messageBytes', () => {
  it('is 413 for a client that writes it all before it reads, whose connection goes on', async () => {
    const stand = await openStand('{}', 'limits.messageBytes=1MiB');
    await stand.serve(() => 'yes');
    const raw = begin(stand, SHOP, 32 * 1024 * 1024);
    raw.socket.pause();
    // More than the buffers of both ends hold.
    await new Promise((resolve) => {
      raw.socket.write(Buffer.alloc(32 * 1024 * 1024), resolve);
    });
    raw.socket.resume();
    await raw.until('413 Payload Too Large');
    expect(raw.received).toContain('ERR_HTTP_TOO_LARGE');
    raw.send(
      'POST /api/v1/services/work/requests HTTP/1.1',
      'Host: localhost',
      `Authorization: Bearer ${SHOP}`,
      'Content-Length: 1',
      '',
    );
    raw.socket.write('x');
    await raw.until('yes');
    await stand.untilNothingIsHeld();
  });

  it('without an end is cut off', async () => {
    const stand = await openStand('{}', 'limits.messageBytes=1MiB');
    const raw = begin(stand, SHOP, 2 ** 40);
    const bytesMax = 256 * 1024 * 1024;
    const write = (error?: Error | null): void => {
      // A failed write is reported before the socket is `destroyed`. Another one is then reported as failed
      // within the same loop of Node's, which never ends.
      if (error || raw.socket.bytesWritten >= bytesMax) return;
      raw.socket.write(Buffer.alloc(1024 * 1024), write);
    };
    write();
    await raw.closed;
    expect(raw.socket.bytesWritten).toBeLessThan(bytesMax);
    await stand.untilNothingIsHeld();
  });
});

describe('a reply that is not read', () => {
  it('is given up at the quota outputBytes of its token, with its connection', async () => {
    const limits = ['limits.messageBytes=8MiB', 'limits.outputBytes=8MiB'];
    const stand = await openStand('{outputBytes: 8388608}', ...limits);
    await stand.serve(() => Buffer.alloc(8 * MIB - 1024));
    const all = Array.from({ length: 4 }, () => {
      const raw = begin(stand, SHOP, 1);
      raw.socket.pause();
      raw.socket.write('x');
      return raw;
    });
    await stand.daemon.waitFor('connection.rejected');
    const [{ kind, key } = { kind: null, key: null }] = stand.daemon.logged('connection.rejected');
    expect([kind, key]).toEqual(['output', 'token:shop']);
    for (const raw of all) raw.socket.resume();
    await Promise.all(all.map(({ closed }) => Promise.race([closed, stand.untilNothingIsHeld()])));
    await until(
      () => all.some(({ socket }) => socket.destroyed && socket.bytesRead < 8 * MIB),
      'one was ended before its reply was read',
    );
    await stand.untilNothingIsHeld();
  });
});

describe('a reply in parts that are larger than limits.outputBytes', () => {
  it('is refused with the limit, and nothing says that it may be tried again', async () => {
    const stand = await openStand('{}', 'limits.outputBytes=1MiB', 'limits.messageBytes=1MiB');
    await stand.serve(async function* parts() {
      for (let at = 0; at < 40; at++) yield Buffer.alloc(65_536);
      return await Promise.resolve('end');
    });
    const { status, headers, text } = await stand.request('x');
    expect([status, headers['retry-after']]).toEqual([502, undefined]);
    expect(text).toContain('limits.outputBytes');
    await stand.untilNothingIsHeld();
  });
});

describe('a reply in very many small parts', () => {
  const EMPTY_PART = new Array<string>(100).fill('');

  /** As many as are too much, from a worker that then waits until it is told to stop. */
  async function serve(stand: ProgramStand): Promise<() => boolean> {
    let isTold = false;
    await stand.serve(async (asked, { partial }) => {
      const told = new Promise<void>((resolve) => {
        asked.signal.addEventListener('abort', () => {
          // What it sends after that throws.
          isTold = true;
          resolve();
        });
      });
      for (let sent = 0; sent < 1500; sent++) {
        partial(EMPTY_PART);
        if (sent % 50 === 0) await new Promise(setImmediate);
      }
      await told;
      return 'end';
    });
    return () => isTold;
  }

  const headers = { accept: 'multipart/mixed' };

  it('is refused when what is made of them is over a limit; its worker is told, and others are served', async () => {
    const stand = await openStand('{}', 'limits.outputBytes=4MiB', 'limits.messageBytes=1MiB');
    const isTold = await serve(stand);
    await stand.serve(() => 'yes', 'other');
    const refused = stand.request('x', { headers });
    const other = await stand.request('x', { token: OTHER }, '', 'other');
    expect(other.text).toBe('yes');
    const { status, text } = await refused;
    expect([status, text]).toEqual([502, expect.stringContaining('limits.outputBytes')]);
    await until(isTold, 'the worker is told');
    await stand.untilNothingIsHeld(['requests', 'output']);
  });

  it.each([
    ['limits.memoryBytes', '{}', ['limits.memoryBytes=16MiB']],
    ['quota `outputBytes`', '{outputBytes: 2MiB}', []],
  ])('is refused as well if it is %s that there is no room in', async (named, quota, limits) => {
    const stand = await openStand(quota, 'limits.messageBytes=1MiB', ...limits);
    const isTold = await serve(stand);
    const { status, text } = await stand.request('x', { headers });
    expect([status, text]).toEqual([502, expect.stringContaining(named)]);
    await until(isTold, 'the worker is told');
    await stand.untilNothingIsHeld(['requests', 'output']);
  });

  it('waits as it came for a reader that is slow, and not as the text of its events', async () => {
    const PARTS = 12_000;
    const stand = await openStand('{}', 'limits.outputBytes=4MiB', 'limits.messageBytes=1MiB');
    let sent = 0;
    await stand.serve(async (_, { partial }) => {
      for (; sent < PARTS; sent++) {
        partial(EMPTY_PART);
        if (sent % 50 === 0) await new Promise(setImmediate);
      }
      return 'end';
    });
    const raw = begin(stand, SHOP, 1, 'Accept: text/event-stream', 'Connection: close');
    raw.socket.write('x');
    raw.socket.pause();
    // Its text would be nine times as much as may wait.
    await until(() => sent === PARTS, 'all parts are sent');
    await stand.untilWaiting(0);
    raw.socket.resume();
    await raw.closed;
    const events = eventsIn(raw);
    expect([events.length, events.at(-1)]).toEqual([PARTS + 1, 'reply']);
    expect(stand.daemon.logged('client.closed')).toEqual([]);
    await stand.untilNothingIsHeld(['requests', 'output']);
  });
});

describe('replies that nobody reads', () => {
  it('end their connections above limits.memoryBytes, so that no more than that is kept', async () => {
    const limits = ['memoryBytes=64MiB', 'messageBytes=16MiB', 'outputBytes=16MiB'];
    const stand = await openStand('{}', ...limits.map((each) => `limits.${each}`));
    let served = 0;
    const bytes = 8 * MIB - 1024;
    await stand.serve(() => {
      served++;
      return Buffer.alloc(bytes);
    });
    const all = Array.from({ length: 24 }, () => {
      const raw = begin(stand, SHOP, 1);
      raw.socket.pause();
      raw.socket.write('x');
      return raw;
    });
    const isWhole = ({ socket }: RawHttp): boolean => socket.bytesRead > bytes;
    const isRefused = (raw: RawHttp): boolean =>
      raw.socket.bytesRead < MIB && /^HTTP\/1\.1 (?:429|502|503) /m.test(raw.received);
    await until(() => served + all.filter(isRefused).length >= 16, 'most have been served');
    await stand.daemon.waitFor('connection.rejected');
    for (const raw of all) raw.socket.resume();
    await until(
      () => all.every((raw) => isRefused(raw) || raw.socket.destroyed || isWhole(raw)),
      'each is answered, or has lost its connection',
    );
    expect(all.filter(isWhole).length).toBeLessThan(served);
    await stand.untilNothingIsHeld();
  });
});

describe('programs that waste what is shared', () => {
  it('a thousand of one token that wait: the rest is refused at once, others are served', async () => {
    const stand = await openStand();
    await stand.serve(never);
    await stand.serve(() => 'yes', 'other');
    const all = Array.from({ length: 1000 }, () => {
      const raw = begin(stand, SHOP, 1);
      raw.socket.write('x');
      return raw;
    });
    // Seven eighths of 1024 connections.
    await until(
      () => all.filter(({ received }) => received.includes('429 Too Many')).length >= 1000 - 896,
      'the rest is refused',
    );
    await stand.untilWaiting(896);
    expect(all.filter(({ received }) => received === '')).toHaveLength(896);
    const other = { token: 'a-token-of-another-one' };
    expect((await stand.request('x', other, '', 'other')).text).toBe('yes');
    expect((await ask(`${httpOf(stand.daemon)}/livez`)).status).toBe(200);
    for (const raw of all) raw.socket.destroy();
    // One is at the worker; the others are cancelled.
    await stand.untilWaiting(1);
  });

  it('half a body holds its own memory only, which is given back when it goes', async () => {
    const stand = await openStand();
    await stand.serve(() => 'yes');
    const slow = begin(stand, SHOP, 100_000);
    slow.socket.write(Buffer.alloc(50_000));
    await until(
      async () => ((await stand.metrics()).value('memory_held_bytes{kind="input"}') ?? 0) >= 50_000,
      'half of it is held',
    );
    expect((await stand.request('x')).text).toBe('yes');
    slow.socket.destroy();
    await stand.untilNothingIsHeld();
  });

  it('bodies beyond limits.memoryBytes are refused with 429', async () => {
    const stand = await openStand('{}', 'limits.memoryBytes=16MiB', 'limits.messageBytes=8MiB');
    await stand.serve(never);
    const all = Array.from({ length: 4 }, () => {
      const raw = begin(stand, SHOP, 6 * 1024 * 1024);
      raw.socket.write(Buffer.alloc(6 * 1024 * 1024));
      return raw;
    });
    await until(
      () => all.some(({ received }) => received.includes('429 Too Many')),
      'one is refused',
    );
    expect((await ask(`${httpOf(stand.daemon)}/livez`)).status).toBe(200);
  });

  it('half a body is given up at limits.memoryBytes, and a reply that waits to be read is not', async () => {
    const stand = await openStand('{}', 'limits.memoryBytes=16MiB', 'limits.messageBytes=8MiB');
    await stand.serve((request) => Buffer.alloc(Number(request.text())));
    const held = async (kind: string): Promise<number> =>
      (await stand.metrics()).value(`memory_held_bytes{kind="${kind}"}`) ?? 0;
    // It came before the reply and has more: it goes first, whether both have stalled by then or not.
    const half = begin(stand, SHOP, 7.5 * MIB);
    half.socket.write(Buffer.alloc(7.5 * MIB - 1));
    await until(async () => (await held('input')) > 7.5 * MIB - 2, 'half a body is held');
    const reader = begin(stand, SHOP, 7);
    reader.socket.pause();
    reader.socket.write('7340032');
    // What the system takes of the reply is not held.
    await until(async () => (await held('output')) > 3.5 * MIB, 'the reply is held');
    const stranger = await new RawSocket(stand.daemon.endpoint).shakeHands();
    // Its room for all of the message counts.
    stranger.write(frame(0, Buffer.alloc(5.75 * MIB), BigInt(6 * MIB)));
    const closed = await stand.daemon.waitFor('connection.rejected');
    expect(closed).toMatchObject({
      key: 'token:shop',
      reason: expect.stringContaining('incomplete message'),
    });
    await half.closed;
    stranger.socket.destroy();
    reader.socket.resume();
    await until(() => reader.received.length > 7_340_032, 'the reply is read');
  });
});

describe('a flood of Idempotency-Keys', () => {
  const KEYS = 20;
  const answersTo = async (stand: ProgramStand, count: number, key: (index: number) => string) =>
    await Promise.all(
      Array.from({ length: count }, (_each, index) =>
        stand.request('x', { headers: { 'idempotency-key': key(index) } }),
      ),
    );

  it('over the quota `sessions` is refused with that name, takes little memory, and no other token notices', async () => {
    const stand = await openStand(`{sessions: ${KEYS}}`);
    await stand.serve(() => 'yes');
    await stand.serve(() => 'yes', 'other');
    const all = await answersTo(stand, 200, (index) => `${index}`.padEnd(255, 'x'));
    const refused = all.filter(({ status }) => status === 429);
    expect([refused.length, all.length]).toEqual([200 - KEYS, 200]);
    expect(refused[0]?.text).toContain('the quota `sessions` of this token');
    expect(refused[0]?.headers['retry-after']).toBe('1');
    expect(stand.daemon.logged('request.refused')[0]).toMatchObject({
      ...{ reason: 'quota', service: 'work', key: 'token:shop', address: '127.0.0.1' },
    });
    const counted = (await stand.metrics()).value('quota_refusals_total{quota="sessions"}');
    expect(counted).toBe(refused.length);
    const held = (await stand.metrics()).value('memory_held_bytes{kind="requests"}') ?? 0;
    expect(held).toBeGreaterThan(KEYS * 2048);
    expect(held).toBeLessThan(KEYS * 4096);
    // Without a key, with one that is known, and for others, all goes on.
    expect((await stand.request('x')).text).toBe('yes');
    const known = all.findIndex(({ status }) => status === 200);
    const again = await answersTo(stand, 1, () => `${known}`.padEnd(255, 'x'));
    expect(again[0]?.status).toBe(200);
    const other = { token: OTHER, headers: { 'idempotency-key': '1' } };
    expect((await stand.request('x', other, '', 'other')).text).toBe('yes');
  });

  it('whose clients hang up leaves no more requests than the quota allows, and nothing after broker.resumeMs', async () => {
    const stand = await openStand(`{sessions: ${KEYS}}`, 'broker.resumeMs=1500');
    await stand.serve(never);
    const all = Array.from({ length: 100 }, (_each, index) => {
      const raw = begin(stand, SHOP, 1, `Idempotency-Key: ${index}`);
      raw.socket.write('x');
      return raw;
    });
    const refused = (): number => all.filter(({ received }) => received.includes(' 429 ')).length;
    await until(() => refused() === 100 - KEYS, 'the others are refused');
    for (const { socket } of all) socket.destroy();
    await stand.untilWaiting(KEYS);
    await stand.untilWaiting(0);
    await stand.untilNothingIsHeld();
  });

  it('whose answers are large keeps no more of them than the quota `outputBytes` allows', async () => {
    const stand = await openStand('{outputBytes: 4MiB}');
    const got: string[] = [];
    await stand.serve((asked) => {
      got.push(asked.text());
      return Buffer.alloc(MIB);
    });
    const statuses: number[] = [];
    for (let index = 0; index < 12; index++) {
      const [answer] = await answersTo(stand, 1, () => String(index));
      statuses.push(answer?.status ?? 0);
    }
    expect(statuses).toEqual([...Array<number>(4).fill(200), ...Array<number>(8).fill(429)]);
    const held = (await stand.metrics()).value('memory_held_bytes{kind="requests"}') ?? 0;
    expect(held).toBeLessThan(5 * MIB);
    expect(got).toHaveLength(4);
  });
});
