import type { Facts } from '../../../../src/cli/common/facts.js';
import { listening } from '../../../../src/cli/diagnosis/checkup/refusals.js';
import { page, rowsBelow, words } from '../../docs/page.js';

/** Events with a remedy for each of their reasons or kinds. */
const EXPLAINED = [
  ...['message.malformed', 'worker.refused', 'request.refused', 'titanic.refused', 'map.refused'],
];

const MALFORMED = {
  event: 'message.malformed',
  severity: 'warn',
  ...{ kind: 'worker', reason: 'no service', command: 'READY', frame: 4 },
  ...{ key: 'alice', address: '10.0.0.7' },
};

/** What doctor says of these events, as HTTP serves them. */
async function explained(events: readonly object[], seconds: number): ReturnType<typeof listening> {
  const stream = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  return await refusals(stream, seconds);
}

/** @param clients what the node says of its clients; without it, nothing, as without a token */
function refusals(
  stream: string,
  seconds: number,
  clients?: readonly object[],
  unserved: readonly string[] = [],
): ReturnType<typeof listening> {
  const get = async (path: string): Promise<Facts> => {
    if (path === '/api/v1/services') return { items: unserved.map((service) => ({ service })) };
    if (clients === undefined) throw new Error('401');
    return await Promise.resolve({ items: clients, total: clients.length });
  };
  return listening(() => Promise.resolve({ listen: () => Promise.resolve(stream), get }), seconds);
}

const OVER = { event: 'request.refused', severity: 'warn', reason: 'limit', service: 'resize' };

/** What doctor says to do about a limit. */
async function limitRemedy(
  limit: string,
  clients?: readonly object[],
  unserved: readonly string[] = [],
): Promise<string | null> {
  const event = at(1, { ...OVER, text: `${limit} is reached`, key: null, address: '10.0.0.8' });
  const stream = `data: ${JSON.stringify(event)}\n\n`;
  const [finding] = await refusals(stream, 1, clients, unserved);
  return finding?.remedy ?? null;
}

const client = (name: string, outstanding: number, requestsPerSecond: number): object => ({
  ...{ kind: 'address', name, outstanding, requestsPerSecond },
});

async function remedyOf(event: object): Promise<string | null | undefined> {
  return (await explained([event], 1))[0]?.remedy;
}

function at(second: number, event: object): Record<string, unknown> {
  return { time: `2026-11-25T18:00:0${second}.000Z`, ...event };
}

describe('what doctor --listen says of refused peers', () => {
  it('names address, key, command, frame, rule and what to do; equal ones once, the latest first', async () => {
    const rejected = {
      event: 'connection.rejected',
      severity: 'warn',
      ...{ listener: 0, kind: 'mechanism', reason: 'the peer uses NULL, this side CURVE' },
      ...{ address: '10.0.0.8', key: null },
    };
    const events = [at(1, MALFORMED), at(2, rejected), at(3, MALFORMED)];
    expect(await explained(events, 5)).toEqual([
      {
        name: 'refused peers',
        state: 'warning',
        text: '10.0.0.7, key alice: READY, frame 4: no service (message.malformed, 2 times, the last at 2026-11-25T18:00:03.000Z)',
        remedy: expect.stringMatching(/^correct that frame of the worker: docs\/protocol\.md/),
      },
      {
        name: 'refused peers',
        state: 'warning',
        text: '10.0.0.8: listener 0, kind mechanism, reason the peer uses NULL, this side CURVE (connection.rejected, at 2026-11-25T18:00:02.000Z)',
        remedy: expect.stringMatching(/^give the peer the keys of the listener/),
      },
    ]);
  });

  it('says that nobody was refused, whatever else happened', async () => {
    const usual = { event: 'request.refused', severity: 'info', reason: 'no_worker', service: 'a' };
    const events = [at(1, { event: 'worker.registered', severity: 'info' }), at(2, usual)];
    expect(await explained(events, 5)).toEqual([
      {
        name: 'refused peers',
        state: 'ok',
        text: 'none among the latest events of the broker, and none within 5 s',
        remedy: null,
      },
    ]);
  });

  it('names the client that floods, where one has most of what is outstanding', async () => {
    const limit = 'limits.queuedRequestsPerService';
    const flood = [client('10.0.0.9', 9000, 950.5), client('10.0.0.8', 1000, 3)];
    expect(await limitRemedy(limit, flood)).toBe(
      'the address 10.0.0.9 floods: it has 9000 of 10000 outstanding requests, and sends 950.5 per second: ' +
        'let it send less, or give it a quota (limits.quotas, limits.perPeer)',
    );
    // Many with about as much: the workers are too few. A single client has no other to spare.
    const even = [client('10.0.0.9', 500, 9), client('10.0.0.8', 499, 9), client('10.0.0.7', 1, 9)];
    const alone = [...flood.slice(0, 1), client('10.0.0.7', 0, 0)];
    for (const clients of [even, alone, [], undefined]) {
      expect(await limitRemedy(limit, clients)).toMatch(
        /^see who has most outstanding with majordomo clients .*; if none does, start more workers/,
      );
    }
  });

  it('says to start workers where the service has none, however many requests one client has', async () => {
    const flood = [client('10.0.0.9', 9000, 950), client('10.0.0.8', 10, 3)];
    const limit = 'limits.queuedRequestsPerService';
    expect(await limitRemedy(limit, flood, ['resize'])).toBe(
      'start workers of resize: it has none',
    );
    expect(await limitRemedy(limit, flood, ['other'])).toMatch(/^the address 10\.0\.0\.9 floods/);
  });

  it('advises of a limit what fits it', async () => {
    const flood = [client('10.0.0.9', 9000, 950), client('10.0.0.8', 10, 3)];
    expect(await limitRemedy('limits.memoryBytes', flood)).toContain('majordomo clients --by held');
    expect(await limitRemedy('limits.services', flood)).toMatch(/^correct the names/);
    const stored = at(1, {
      event: 'titanic.refused',
      severity: 'warn',
      ...{ reason: 'limit', text: 'titanic.maxOpen is reached' },
    });
    const [finding] = await explained([stored], 1);
    expect(finding?.text).toMatch(/^a client: reason limit, text titanic\.maxOpen is reached/);
    expect(finding?.remedy).toMatch(/^see who stores most with majordomo clients --by stored/);
  });

  it('advises of a quota what fits it', async () => {
    const refused = { event: 'request.refused', severity: 'warn', reason: 'quota' };
    expect(await remedyOf({ ...refused, service: 'echo' })).toMatch(/^let the client do less/);
    expect(await remedyOf({ ...refused, service: 'mmi.hello' })).toMatch(
      /^a client whose hello is refused learns of no failure/,
    );
    expect(await remedyOf({ event: 'titanic.wait_refused', severity: 'warn' })).toMatch(
      /raise the quota waits/,
    );
    expect(await remedyOf({ event: 'schedule.delayed', severity: 'warn' })).toMatch(/^purge/);
    const map = { event: 'map.refused', severity: 'warn', reason: 'limit' };
    const [finding] = await explained([at(1, map)], 1);
    expect(finding?.text).toMatch(/^a client: reason limit/);
    expect(finding?.remedy).toMatch(/raise limits\.mapBytes$/);
  });

  it('says how to learn who it was, if the broker withholds that', async () => {
    const { key: _key, address: _address, ...open } = MALFORMED;
    expect((await explained([at(1, open)], 1))[0]?.text).toMatch(
      /^a peer \(with a token, .*\): READY/,
    );
  });

  it('shows twenty, and how many it does not show', async () => {
    const events = Array.from({ length: 23 }, (_, index) => at(1, { ...MALFORMED, frame: index }));
    const findings = await explained(events, 1);
    expect(findings).toHaveLength(21);
    expect(findings[0]?.text).toContain('frame 22');
    expect(findings[20]?.text).toBe('3 more, which were refused before these');
  });

  it('reads whole events only', async () => {
    const whole = JSON.stringify(at(1, MALFORMED));
    const stream = `: x\n\nid: 1\nevent: a\ndata: ${whole}\n\nid: 2\ndata: ${whole}`;
    const found = await refusals(stream, 1);
    expect(found).toHaveLength(1);
    expect(found[0]?.text).toContain('message.malformed, at');
  });

  it('has a remedy for every kind and reason that docs/logs.md lists', async () => {
    const logs = page('logs.md');
    const kinds = rowsBelow(logs, '## Rejected connections').map(([kind]) => words(kind)[0] ?? '');
    expect(kinds).toContain('greeting');
    for (const event of ['connection', 'ha', 'map', 'stream']) {
      for (const kind of kinds) {
        const remedy = await remedyOf({ event: `${event}.rejected`, severity: 'warn', kind });
        expect([event, kind, remedy]).toEqual([event, kind, expect.not.stringMatching(/logs\.md/)]);
      }
    }
    for (const [name, listed] of rowsBelow(logs, '## Reasons and kinds')) {
      const [event = '', field = ''] = [words(name)[0], name?.split(' ').at(-1)];
      if (!EXPLAINED.includes(event)) continue;
      for (const value of words(listed)) {
        if (['titanic', 'no_worker', 'not_active', 'draining'].includes(value)) continue;
        const remedy = await remedyOf({ event, severity: 'warn', [field]: value });
        expect([event, value, remedy]).toEqual([
          event,
          value,
          expect.not.stringMatching(/logs\.md/),
        ]);
      }
    }
  });
});
