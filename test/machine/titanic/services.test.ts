import { JOB_ROWS } from '../../../src/wire/job-option-table.js';
import { valuesOf } from '../../support/job-options.js';
import { endTitanicStages, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const UUID = '0190A0B0C0D07000800000000000ABCD';
const LONG_NAME = 'n'.repeat(256);
const OPTIONS = JOB_ROWS.map(({ name }) => name).join(', ');
const ANOTHER = '409 the key was used for a request with another body or other options';
const UNKNOWN_OPTION = `400 unknown option; there are key, ${OPTIONS}, headers, existed`;

describe('titanic.request', () => {
  it('answers 200 and 32 upper-case hexadecimal characters (9/TSP)', () => {
    const s = titanicStage();
    expect(s.asks('request', 'echo', 'hi')).toMatch(
      /^200\|[0-9A-F]{12}7[0-9A-F]{3}[89AB][0-9A-F]{15}$/,
    );
  });

  it('answers only when the request is committed (docs/protocol.md)', () => {
    const s = titanicStage().holdsStore();
    expect(s.asks('request', 'echo', 'hi')).toBe('');
    s.after(60_000);
    expect(s.hears()).toBe('');
    s.answers('commit');
    expect(s.hears()).toMatch(/^200\|/);
  });

  it.each([1, 2] as const)(
    'keeps every frame of the body, to a 0.%i worker and back',
    (version) => {
      const s = titanicStage();
      const c1 = s.client('c1', { version, envelope: ['id'] });
      c1.request('titanic.request', 'echo', 'a', '', 'c');
      const uuid = (c1.inbox()[0] ?? '').split('|')[1] ?? '';
      const w1 = s.worker('w1', { version }).ready('echo');
      expect(w1.inbox()).toEqual(['REQUEST a||c']);
      w1.final(['x', '', 'z']);
      c1.request('titanic.reply', uuid);
      expect(c1.inbox()).toEqual([`${version === 1 ? 'REPLY' : 'FINAL'} titanic.reply 200|x||z`]);
    },
  );

  it('asks the next client whose request came in the same commit no less (group commit)', () => {
    const s = titanicStage().holdsStore();
    const uuids = ['a', 'b', 'c'].map((body) => s.asks('request', 'echo', body));
    expect(uuids).toEqual(['', '', '']);
    // The first went at once; those that came meanwhile are one batch.
    s.answers('commit').answers('commit');
    expect(s.hears().split(' / ')).toHaveLength(3);
    expect(s.store.asked.filter(({ kind }) => kind === 'commit')).toHaveLength(0);
  });

  it.each([
    [[], '400 no service name', ['']],
    [[], '400 no body', ['echo']],
    [[], '400 mmi.* and titanic.* cannot be durable requests', ['mmi.service', 'echo']],
    [[], '400 mmi.* and titanic.* cannot be durable requests', ['titanic.request', 'x', 'y']],
    [[], '400 mmi.* and titanic.* cannot be durable requests', ['titanic.', 'y']],
    [[], '400 a service name is 1 to 255 bytes', [LONG_NAME, 'x']],
  ])('answers what it cannot keep with a status that says why (D12) %#', (_, answer, body) => {
    const s = titanicStage();
    expect(s.asks('request', ...body)).toBe(answer);
    expect(s.store.disk.rows.length).toBe(0);
    expect(s.store.changes.some(({ kind }) => kind === 'accept')).toBe(false);
  });
});

describe('titanic.submit', () => {
  it.each([
    ['400 the options are not JSON', ['', 'echo', 'x']],
    ['400 the options are not JSON', ['{', 'echo', 'x']],
    ['400 the options are not a JSON object', ['[]', 'echo', 'x']],
    ['400 the options are not a JSON object', ['null', 'echo', 'x']],
    ['400 the options are not a JSON object', ['7', 'echo', 'x']],
    ['400 the options are not UTF-8', ['{"key":"\xff"}', 'echo', 'x']],
    ['400 the options are too long', [`{"key":"${'x'.repeat(17_000)}"}`, 'echo', 'x']],
    [UNKNOWN_OPTION, ['{"Key":"k"}', 'echo', 'x']],
    [UNKNOWN_OPTION, ['{"__proto__":{}}', 'echo', 'x']],
    ...['""', '7', `"${'x'.repeat(256)}"`, String.raw`"\ud800"`].map((key): [string, string[]] => [
      '400 key is a string of valid Unicode, 1 to 255 bytes in UTF-8',
      [`{"key":${key}}`, 'echo', 'x'],
    ]),
    ['400 priority is a whole number from -100 to 100', ['{"priority":101}', 'echo', 'x']],
    ['400 maxAttempts is a whole number from 1 to 1000', ['{"maxAttempts":0}', 'echo', 'x']],
    ['400 shared is true or false', ['{"shared":1}', 'echo', 'x']],
    ...JOB_ROWS.flatMap((row) =>
      valuesOf(row).wrong.map((value): [string, string[]] => [
        `400 ${row.name} is ${row.what}`,
        // The stage sends a byte for each character.
        [JSON.stringify({ [row.name]: value }).replaceAll('ü', String.raw`\u00fc`), 'echo', 'x'],
      ]),
    ),
    ['400 no service name', ['{}']],
    ['400 no service name', ['{}', '', 'x']],
    ['400 no body', ['{}', 'echo']],
    ['400 mmi.* and titanic.* cannot be durable requests', ['{}', 'titanic.close', 'x']],
  ])('answers %s (D12, D16) %#', (answer, body) => {
    const s = titanicStage();
    expect(s.asks('submit', ...body)).toBe(answer);
    expect(s.store.disk.rows.length).toBe(0);
  });

  it('gives the uuid of the first for the same key of the same service, and runs it once (D16)', () => {
    const s = titanicStage();
    const first = s.submits('echo', 'one', { key: 'order-17' });
    expect(s.submits('echo', 'one', { key: 'order-17' })).toBe(first);
    expect(s.submits('sum', 'one', { key: 'order-17' })).not.toBe(first);
    expect(s.worker('w1').ready('echo').final('done').inbox()).toEqual(['REQUEST one']);
    expect(s.submits('echo', 'one', { key: 'order-17' })).toBe(first);
    expect(s.asks('reply', first)).toBe('200|done');
    expect(s.titanic.figures.counters.accepted).toBe(2);
  });

  it('gives one uuid for two of one key that come in the same commit (D16)', () => {
    const s = titanicStage().holdsStore();
    s.asks('request', 'other', 'x');
    s.asks('submit', '{"key":"k"}', 'echo', 'one');
    s.asks('submit', '{"key":"k"}', 'echo', 'one');
    s.asks('submit', '{"key":"k"}', 'echo', 'two');
    s.freesStore();
    const [, first, second, third] = s.hears().split(' / ');
    expect(first).toMatch(/^200\|/);
    expect(second).toBe(first);
    expect(third).toBe(ANOTHER);
    expect(s.worker('w1', {}).ready('echo', { credit: 5 }).inbox()).toEqual(['REQUEST one']);
  });

  it('remembers a key for titanic.keyTtlMs after the close, and then no more (D16)', () => {
    const s = titanicStage({ titanic: { keyTtlMs: 60_000 } });
    const first = s.submits('echo', 'one', { key: 'k' });
    expect(s.asks('close', first)).toBe('200');
    s.after(45_000);
    expect(s.submits('echo', 'one', { key: 'k' })).toBe(first);
    expect(s.asks('submit', '{"key":"k"}', 'echo', 'two')).toBe(ANOTHER);
    s.after(30_000);
    expect(s.submits('echo', 'two', { key: 'k' })).not.toBe(first);
  });

  it.each([
    ['another body', {}, ['echo', 'two']],
    ['more frames', {}, ['echo', 'one', '']],
    ['its frames cut elsewhere', {}, ['echo', 'on', 'e']],
    ['another priority', { priority: 5 }, ['echo', 'one']],
    ['another delay', { delayMs: 1 }, ['echo', 'one']],
    ['another time to live', { ttlMs: 60_000 }, ['echo', 'one']],
    ['other pauses', { backoff: { baseMs: 1, maxMs: 2 } }, ['echo', 'one']],
    ['other rights', { shared: true }, ['echo', 'one']],
  ])(
    'refuses a key that was used for a request with %s: 409, and stores nothing (D112)',
    (_, more, body) => {
      const s = titanicStage();
      const first = s.submits('echo', 'one', { key: 'k' });
      expect(s.asks('submit', JSON.stringify({ key: 'k', ...more }), ...body)).toBe(ANOTHER);
      expect(s.store.disk.rows).toHaveLength(1);
      expect(s.titanic.figures.counters.accepted).toBe(1);
      expect(s.submits('echo', 'one', { key: 'k' })).toBe(first);
    },
  );

  it('a key names a request whatever its headers, and whether it says what is so by default (D112)', () => {
    const s = titanicStage();
    const options = { key: 'k', maxAttempts: 3 };
    const first = s.submits('echo', 'one', { ...options, headers: { traceparent: '00-1' } });
    const defaults = { priority: 0, delayMs: 0, shared: false };
    const again = { ...defaults, ...options, headers: { traceparent: '00-2' } };
    expect(s.submits('echo', 'one', again)).toBe(first);
  });

  it('a key names a request in whatever order its options are written, and theirs (D112)', () => {
    const s = titanicStage();
    const first = s.submits('echo', 'one', {
      key: 'k',
      priority: 1,
      backoff: { baseMs: 1, maxMs: 2 },
    });
    const again = { backoff: { maxMs: 2, baseMs: 1 }, priority: 1, key: 'k' };
    expect(s.submits('echo', 'one', again)).toBe(first);
  });

  it('says, where that is asked, whether the request existed before, and its state (D112)', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const says = (key: string | undefined, body: string): unknown => {
      const options = JSON.stringify({ key, existed: true });
      const [status, uuid = '', told = ''] = s.asks('submit', options, 'echo', body).split('|');
      expect([status, uuid]).toEqual(['200', expect.stringMatching(/^[0-9A-F]{32}$/)]);
      return JSON.parse(told);
    };
    const found = (state: string): object => ({ existed: true, state });
    const isNew = { existed: false, state: 'pending' };
    expect([says(undefined, 'x'), says('k', 'one'), says('k', 'one')]).toEqual([
      ...[isNew, isNew, found('pending')],
    ]);
    const w1 = s.worker('w1').ready('echo').final('done').final('done');
    expect(says('k', 'one')).toEqual(found('replied'));
    expect(says('dead', 'two')).toEqual(isNew);
    w1.disconnect();
    expect(says('dead', 'two')).toEqual(found('dead'));
    const uuid = s.submits('echo', 'one', { key: 'k' });
    expect(s.asks('close', uuid)).toBe('200');
    expect(says('k', 'one')).toEqual(found('closed'));
    expect(s.asks('submit', '{"key":"k","existed":1}', 'echo', 'x')).toBe(
      '400 existed is true or false',
    );
    expect(s.submits('echo', 'one', { key: 'k', existed: false })).toBe(uuid);
  });

  it('sends the higher priority first, and of one priority in order of acceptance (D16)', () => {
    const s = titanicStage();
    for (const [body, priority] of [
      ['a', 0],
      ['b', -100],
      ['c', 100],
      ['d', 0],
      ['e', 100],
    ] as const) {
      s.submits('echo', body, { priority });
    }
    const w1 = s.worker('w1').ready('echo');
    for (let done = 0; done < 4; done++) w1.final('x');
    const order = w1.inbox().map((text) => text.replace('REQUEST ', ''));
    expect(order).toEqual(['c', 'e', 'a', 'd', 'b']);
    w1.final('x');
  });

  it('does not send a request before its delay is over (D16)', () => {
    const s = titanicStage({ busyTimeoutMs: 900_000 });
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.submits('echo', 'late', { delayMs: 5000 });
    s.after(4999);
    expect(w1.inbox()).toEqual([]);
    s.after(1);
    expect(w1.inbox()).toEqual(['REQUEST late']);
  });

  it('ends a request that is not served within its ttl, which is then unknown (D16)', () => {
    const s = titanicStage();
    s.after(7000);
    const uuid = s.submits('echo', 'x', { ttlMs: 5000 });
    s.after(4999);
    expect(s.asks('reply', uuid)).toBe('300');
    s.after(1);
    expect(s.asks('reply', uuid)).toBe('400 unknown');
    expect(s.titanic.figures.counters.expired).toBe(1);
    expect(s.worker('w1').ready('echo').inbox()).toEqual([]);
  });

  it.each([
    ['below', 5000],
    ['at', 10_000],
    ['above', 10_001],
    ['far above', 86_400_000],
  ])('runs one whose delay is %s its ttl, which counts from its end (D109)', (_, delayMs) => {
    const s = titanicStage({ busyTimeoutMs: 1e9, heartbeatIntervalMs: 1e8 });
    const w1 = s.worker('w1').ready('echo');
    const uuid = s.submits('echo', 'late', { delayMs, ttlMs: 10_000 });
    const unserved = s.submits('nobody', 'late', { delayMs, ttlMs: 10_000 });
    s.after(delayMs);
    expect(w1.inbox()).toEqual(['REQUEST late']);
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
    s.after(9999);
    expect(s.asks('reply', unserved)).toBe('300');
    s.after(1);
    expect(s.asks('reply', unserved)).toBe('400 unknown');
  });

  it('takes as many attempts as it is told, of those that titanic.maxAttempts would allow (D16)', () => {
    const s = titanicStage({ titanic: { maxAttempts: 3 } });
    const uuid = s.submits('echo', 'x', { maxAttempts: 1 });
    s.worker('w1').ready('echo').disconnect();
    expect(s.asks('reply', uuid)).toMatch(
      /^500 dead mdp\.no-reply: outcome unknown: its worker was lost \(connection\)/,
    );
  });
});

describe('titanic.reply', () => {
  it('answers 300 while it waits, is out, and while its reply is not committed', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    expect(s.asks('reply', uuid)).toBe('300');
    const w1 = s.worker('w1').ready('echo');
    expect(s.asks('reply', uuid)).toBe('300');
    s.holdsStore();
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('300');
    s.freesStore();
    expect(s.asks('reply', uuid)).toBe('200|done');
  });

  it('never deletes, and takes a uuid in either case (9/TSP)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
    expect(s.asks('reply', uuid.toLowerCase())).toBe('200|done');
  });

  it('drops the reply when titanic.replyTtlMs has passed, not before', () => {
    const s = titanicStage({ titanic: { replyTtlMs: 30_000 } });
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').final('done').disconnect();
    s.after(29_999);
    expect(s.asks('reply', uuid)).toBe('200|done');
    s.after(10_001);
    expect(s.asks('reply', uuid)).toBe('400 unknown');
    expect(s.titanic.figures.counters.expired).toBe(1);
  });

  it('answers the sweep of many over several batches', () => {
    const s = titanicStage({ titanic: { replyTtlMs: 30_000, maxOpen: 1100 } });
    const w1 = s.worker('w1').ready('echo');
    for (let i = 0; i < 1100; i++) {
      s.submits('echo');
      w1.final('done');
    }
    w1.disconnect();
    s.after(60_000);
    expect(s.titanic.figures.counts.replied).toBe(0);
    expect(s.titanic.figures.counters.expired).toBe(1100);
  });
});

describe('titanic.close', () => {
  it('deletes request and reply, and answers 200 when that is committed', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').final('done');
    s.holdsStore();
    expect(s.asks('close', uuid)).toBe('');
    s.freesStore();
    expect(s.hears()).toBe('200');
    expect(s.asks('reply', uuid)).toBe('400 unknown');
    expect(s.store.disk.rows.length).toBe(0);
  });

  it('answers 200 for a uuid that nobody knows, and again for one that is closed (idempotent)', () => {
    const s = titanicStage();
    expect(s.asks('close', UUID)).toBe('200');
    const uuid = s.submits('echo');
    expect(s.asks('close', uuid)).toBe('200');
    expect(s.asks('close', uuid)).toBe('200');
  });
});

describe('titanic.wait', () => {
  it.each([
    ['400 the time is decimal milliseconds from 0 to 60000', [UUID]],
    ['400 the time is decimal milliseconds from 0 to 60000', [UUID, '']],
    ['400 the time is decimal milliseconds from 0 to 60000', [UUID, '60001']],
    ['400 the time is decimal milliseconds from 0 to 60000', [UUID, '-1']],
    ['400 the time is decimal milliseconds from 0 to 60000', [UUID, '1e3']],
    ['400 the time is decimal milliseconds from 0 to 60000', [UUID, '999999999999']],
    ['400 frames too many', [UUID, '1', '']],
    ['400 a uuid is 32 hexadecimal characters', ['', '1']],
    ['400 unknown', [UUID, '60000']],
  ])('answers %s (D12, D16) %#', (answer, body) => {
    expect(titanicStage().asks('wait', ...body)).toBe(answer);
  });

  it('answers as soon as the reply is committed (D16)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    expect(s.asks('wait', uuid, '60000')).toBe('');
    const w1 = s.worker('w1').ready('echo');
    s.holdsStore();
    w1.final('done');
    expect(s.hears()).toBe('');
    s.freesStore();
    expect(s.hears()).toBe('200|done');
    expect(s.asks('wait', uuid, '60000')).toBe('200|done');
  });

  it('answers 300 when the time is up, and at once for no time (D16)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    expect(s.asks('wait', uuid, '0')).toBe('300');
    expect(s.asks('wait', uuid, '2000')).toBe('');
    s.after(1999);
    expect(s.hears()).toBe('');
    s.after(1);
    expect(s.hears()).toBe('300');
  });

  it('tells all who wait, in one turn: closed, dead, expired (D16)', () => {
    const s = titanicStage();
    const [closed, dead, expired] = [
      s.submits('a'),
      s.submits('b', 'x', { maxAttempts: 1 }),
      s.submits('c', 'x', { ttlMs: 1000 }),
    ];
    for (const uuid of [closed, closed, dead, expired]) s.asks('wait', uuid, '60000');
    expect(s.asks('close', closed)).toBe('400 unknown / 400 unknown / 200');
    s.worker('w1').ready('b').disconnect();
    expect(s.hears()).toMatch(/^500 dead mdp\.no-reply: outcome unknown/);
    s.after(1000);
    expect(s.hears()).toBe('400 unknown');
  });
});

describe('titanic.*', () => {
  it.each(['reply', 'close', 'wait'])('%s answers 400 for what is no uuid (D12)', (service) => {
    const s = titanicStage();
    const time = service === 'wait' ? ['100'] : [];
    const wrong = [
      '',
      UUID.slice(1),
      `${UUID}0`,
      `${UUID.slice(1)}G`,
      `{${UUID.slice(2)}}`,
      '0190a0b0-c0d0-7000-8000-00000000abcd',
    ];
    for (const uuid of wrong) {
      expect(s.asks(service, uuid, ...time)).toBe('400 a uuid is 32 hexadecimal characters');
    }
    const more = service === 'close' ? ['strict', 'x'] : ['x'];
    expect(s.asks(service, UUID, ...time, ...more)).toBe('400 frames too many');
    expect(s.store.asked).toEqual([]);
  });

  it('answers 501 for a service that does not exist (D12)', () => {
    expect(titanicStage().asks('nothing', 'x')).toBe('501');
  });

  it('is known to mmi.service, and no worker may offer it (8/MMI, D4)', () => {
    const s = titanicStage();
    const c1 = s.client('c1');
    for (const name of ['titanic.request', 'titanic.wait', 'titanic.progress', 'titanic.nothing']) {
      c1.request('mmi.service', name);
    }
    expect(c1.inbox().map((text) => text.slice(-3))).toEqual(['200', '200', '200', '404']);
    expect(s.worker('w1').ready('titanic.request').inbox()).toEqual(['DISCONNECT']);
    expect(s.worker('w2').ready('titanic.mine').inbox()).toEqual(['DISCONNECT']);
  });

  it('does not tell one who guesses anything (the uuid is the only credential)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const guess = `${uuid.slice(0, 31)}${uuid.endsWith('0') ? '1' : '0'}`;
    expect(s.asks('reply', guess)).toBe('400 unknown');
    expect(s.asks('close', guess)).toBe('200');
    expect(s.asks('reply', uuid)).toBe('300');
  });
});

describe('when the node stops serving', () => {
  it('who waits for a reply is sent elsewhere (503); of a request under way nothing is said', () => {
    const s = titanicStage().holdsStore();
    const c1 = s.client('c1').hello().request('titanic.wait', UUID, '60000');
    c1.request('titanic.request', 'echo', 'hi').request('titanic.close', UUID);
    s.input((broker, now) => {
      broker.setAdmission('refusing', now);
      broker.internalRequests.endAll();
    });
    s.answers('commit');
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 503|titanic.wait|this node is not active']);
  });
});
