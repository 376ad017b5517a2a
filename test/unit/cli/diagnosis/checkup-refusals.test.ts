import { describe, expect, it } from '@jest/globals';

import { listening } from '../../../../src/cli/diagnosis/checkup/refusals.js';
import { page, rowsBelow, words } from '../../docs/page.js';

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

function refusals(stream: string, seconds: number): ReturnType<typeof listening> {
  return listening(() => Promise.resolve({ listen: () => Promise.resolve(stream) }), seconds);
}

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
      if (!['message.malformed', 'worker.refused', 'request.refused'].includes(event)) continue;
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
