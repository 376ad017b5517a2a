/** Plain requests with an `Idempotency-Key`. */
import { type ClientRequest, request } from 'node:http';

import type { Reply } from '../../support/http.js';
import { endStands, failed, openStand, type ProgramStand, SHOP } from '../../support/programs.js';
import { until } from '../../support/until.js';

afterEach(endStands);

/** A worker that keeps each request until `release`. */
class Work {
  readonly got: string[] = [];
  readonly cancelled: string[] = [];
  release: () => void = () => undefined;

  /** @param reply what it answers to a body */
  async serve(stand: ProgramStand, reply = (body: string) => body.toUpperCase()): Promise<void> {
    await stand.serve(async (asked) => {
      const body = asked.text();
      this.got.push(body);
      await new Promise<void>((resolve, reject) => {
        this.release = resolve;
        asked.signal.addEventListener('abort', () => {
          this.cancelled.push(body);
          reject(asked.signal.reason as Error);
        });
      });
      return reply(body);
    });
  }

  async untilGot(count: number): Promise<void> {
    await until(() => this.got.length === count, `the worker has ${count}`);
  }
}

const keyed = (key: string, others = {}) => ({
  headers: { 'idempotency-key': key, ...others },
});

/** A request whose client can hang up. */
function begun(stand: ProgramStand, key: string, body: string): ClientRequest {
  const asked = request(`${stand.url}/services/work/requests`, {
    ...{ method: 'POST', agent: false },
    headers: { authorization: `Bearer ${SHOP}`, 'idempotency-key': key },
  });
  asked.on('error', () => undefined);
  asked.end(body);
  return asked;
}

function shown({ status, headers, text }: Reply): unknown {
  return [status, headers['content-type'], text];
}

describe('plain requests with one Idempotency-Key', () => {
  it('run once, and all get the same answer', async () => {
    const [stand, work] = [await openStand(), new Work()];
    await work.serve(stand);
    const json = { accept: 'text/plain', 'majordomo-header-tenant': 'acme' };
    const first = stand.request('pay', keyed('one', json));
    await work.untilGot(1);
    const others = [1, 2, 3].map((each) =>
      stand.request('pay', keyed('"one"', { ...json, traceparent: `00-${each}` })),
    );
    const another = stand.request('pay', keyed('two'));
    work.release();
    const answers = await Promise.all([first, ...others]);
    expect(answers.map(shown)).toEqual(Array(4).fill([200, 'text/plain', 'PAY']));
    // Directly after its start a broker cannot know whether a key was used before.
    expect(answers.map(({ headers }) => headers['idempotency-status'])).toEqual([
      ...Array<string>(4).fill('unknown'),
    ]);
    await work.untilGot(2);
    work.release();
    expect((await another).text).toBe('PAY');
    // And later, as long as the answer is kept.
    expect((await stand.request('pay', keyed('one', json))).text).toBe('PAY');
    expect(work.got).toEqual(['pay', 'pay']);
  });

  it('begun at the same moment run once', async () => {
    const [stand, got]: [ProgramStand, string[]] = [await openStand(), []];
    await stand.serve((asked) => {
      got.push(asked.text());
      return String(got.length);
    });
    // Large ones are digested piece by piece, in turns.
    const body = 'x'.repeat(3_000_000);
    const all = Array.from({ length: 8 }, () => stand.request(body, keyed('one')));
    expect((await Promise.all(all)).map(({ text }) => text)).toEqual(Array(8).fill('1'));
    expect(got).toHaveLength(1);
  });

  it('go on when a client hangs up, and who comes back has the answer', async () => {
    const [stand, work] = [await openStand(), new Work()];
    await work.serve(stand);
    const first = begun(stand, 'one', 'pay');
    await work.untilGot(1);
    first.destroy();
    const second = stand.request('pay', keyed('one'));
    // What came after it over the same connection of the worker is answered: so it was not cancelled before.
    work.release();
    expect((await second).text).toBe('PAY');
    expect([work.got, work.cancelled]).toEqual([['pay'], []]);
    // The answer comes while nobody waits.
    const third = begun(stand, 'two', 'ship');
    await work.untilGot(2);
    third.destroy();
    work.release();
    await stand.untilWaiting(0);
    expect((await stand.request('ship', keyed('two'))).text).toBe('SHIP');
    expect([work.got, work.cancelled]).toEqual([['pay', 'ship'], []]);
  });

  it.each([0, 200])(
    'are cancelled, with broker.resumeMs %d, when nobody comes back, and nothing stays',
    async (resumeMs) => {
      const stand = await openStand('{}', `broker.resumeMs=${resumeMs}`);
      const work = new Work();
      await work.serve(stand);
      const client = begun(stand, 'one', 'pay');
      await work.untilGot(1);
      client.destroy();
      await until(() => work.cancelled.length === 1, 'the request is cancelled');
      await stand.untilWaiting(0);
      await stand.untilNothingIsHeld();
      const again = stand.request('pay', keyed('one'));
      await work.untilGot(2);
      work.release();
      expect((await again).text).toBe('PAY');
    },
  );

  it('that differ are 422, but for the boundary of multipart/mixed', async () => {
    const stand = await openStand();
    await stand.serve((asked) => [...asked.frames]);
    expect((await stand.request('pay 5', keyed('one'))).text).toBe('pay 5');
    for (const [body, others] of [
      ['pay 6', {}],
      ['pay 5', { accept: 'text/plain' }],
      ['pay 5', { 'content-type': 'text/plain' }],
      ['pay 5', { 'majordomo-header-tenant': 'acme' }],
    ] as const) {
      const refused = await stand.request(body, keyed('one', others));
      expect(failed(refused)).toEqual([422, 'ERR_HTTP_KEY_REUSED']);
    }
    const parts = async (boundary: string, ...all: readonly string[]): Promise<Reply> => {
      const body = all.map((each) => `--${boundary}\r\n\r\n${each}\r\n`).join('');
      const type = { 'content-type': `multipart/mixed; boundary=${boundary}` };
      return await stand.request(`${body}--${boundary}--`, keyed('parts', type));
    };
    expect((await parts('x', 'a', 'bc')).text).toBe('abc');
    expect((await parts('y', 'a', 'bc')).text).toBe('abc');
    expect((await parts('x', 'ab', 'c')).status).toBe(422);
  });

  it('may be sent again at once if the broker has refused them', async () => {
    const stand = await openStand('{outstanding: 1}');
    const work = new Work();
    await work.serve(stand);
    const first = stand.request('first', keyed('one'));
    await work.untilGot(1);
    const refused = await stand.request('second', keyed('two'));
    expect(failed(refused)).toEqual([429, 'ERR_HTTP_LIMIT']);
    expect(refused.headers['idempotency-status']).toBeUndefined();
    work.release();
    expect((await first).text).toBe('FIRST');
    const second = stand.request('second', keyed('two'));
    await work.untilGot(2);
    work.release();
    expect((await second).text).toBe('SECOND');
  });

  it('run again after a restart, and the answer says that they may have run', async () => {
    const [stand, work] = [await openStand(), new Work()];
    await work.serve(stand);
    const first = begun(stand, 'one', 'pay');
    await work.untilGot(1);
    const restarted = await stand.killed();
    first.destroy();
    const later = new Work();
    await later.serve(restarted);
    const again = restarted.request('pay', keyed('one'));
    await later.untilGot(1);
    later.release();
    const { status, headers } = await again;
    expect([status, headers['idempotency-status']]).toEqual([200, 'unknown']);
  });

  it('fail once, and tell all of it', async () => {
    const [stand, got]: [ProgramStand, string[]] = [await openStand(), []];
    await stand.serve((asked) => {
      got.push(asked.text());
      throw new Error('broken');
    });
    const answers = [
      await stand.request('x', keyed('one')),
      await stand.request('x', keyed('one')),
    ];
    expect(answers.map(failed)).toEqual(Array(2).fill([422, 'ERR_HTTP_FAILED']));
    expect(got).toEqual(['x']);
  });

  it('have large answers that many read at once', async () => {
    const [stand, work] = [await openStand(), new Work()];
    await work.serve(stand, () => 'x'.repeat(4_000_000));
    const all = Array.from({ length: 12 }, () => stand.request('x', keyed('one')));
    await work.untilGot(1);
    work.release();
    const lengths = (await Promise.all(all)).map(({ text }) => text.length);
    expect([lengths, work.got]).toEqual([Array(12).fill(4_000_000), ['x']]);
  });
});
