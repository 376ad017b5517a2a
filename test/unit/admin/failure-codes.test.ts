import { FailureCodes } from '../../../src/admin/metrics/failure-codes.js';

function failed(service: string, code: string, text = 'why'): { readonly name: string } {
  return { name: 'request.failed', service, code, text } as { readonly name: string };
}

describe('failures of a service by code', () => {
  it('are all counted, with the last text and time, and nothing else is', () => {
    const codes = new FailureCodes();
    for (let n = 0; n < 5000; n++) codes.note(failed('pay', 'declined', `card ${n}`), 1000 + n);
    codes.note(failed('pay', 'gateway_down'), 7000);
    codes.note(failed('other', 'declined'), 8000);
    const ended = (name: string, fields: object): { readonly name: string } => ({
      name,
      ...fields,
    });
    codes.note(ended('request.expired', { service: 'pay', waitedMs: 5, reason: 'paused' }), 9000);
    codes.note(ended('request.refused', { service: 'pay', reason: 'limit', text: 'full' }), 9000);
    codes.note(ended('request.abandoned', { service: 'pay', reason: 'lost twice' }), 9000);
    codes.note(ended('request.dropped', { service: 'pay', reason: 'cancelled' }), 9000);
    codes.note(ended('request.dropped', { service: 'pay', reason: 'left' }), 9000);
    codes.note(ended('worker.lost', { service: 'pay', reason: 'expired' }), 9000);
    const at = (ms: number): string => new Date(ms).toISOString();
    expect(codes.of('pay', true)).toEqual([
      {
        event: 'request.failed',
        code: 'declined',
        text: 'card 4999',
        count: 5000,
        lastAt: at(5999),
      },
      { event: 'request.failed', code: 'gateway_down', text: 'why', count: 1, lastAt: at(7000) },
      {
        event: 'request.expired',
        code: null,
        text: 'an operator has paused its service',
        count: 1,
        lastAt: at(9000),
      },
      { event: 'request.refused', code: 'limit', text: 'full', count: 1, lastAt: at(9000) },
      { event: 'request.abandoned', code: null, text: 'lost twice', count: 1, lastAt: at(9000) },
      {
        event: 'request.dropped',
        code: null,
        text: 'its client gave it up, without any part of the answer',
        count: 1,
        lastAt: at(9000),
      },
    ]);
    expect(codes.of('unknown', true)).toEqual([]);
  });

  it('have the words of workers only for holders of a token', () => {
    const codes = new FailureCodes();
    codes.note(failed('pay', 'secret', 'secret'), 0);
    codes.note({ name: 'request.abandoned', service: 'pay', reason: 'secret' } as never, 0);
    codes.note({ name: 'request.refused', service: 'pay', reason: 'limit', text: 't' } as never, 0);
    expect(JSON.stringify(codes.of('pay', false))).not.toContain('secret');
    expect(codes.of('pay', false)).toContainEqual(expect.objectContaining({ code: 'limit' }));
  });

  it('take bounded memory, whatever workers send', () => {
    const codes = new FailureCodes();
    const long = 'x'.repeat(10_000);
    for (let n = 0; n < 100; n++) codes.note(failed('pay', `${n} ${long}`, long), n);
    const found = codes.of('pay', true);
    expect(found).toHaveLength(21);
    expect(found.at(-1)).toMatchObject({ code: null, count: 80 });
    expect(JSON.stringify(found).length).toBeLessThan(21 * 700);
    for (let n = 0; n < 1500; n++) codes.note(failed(`service ${n}`, 'a'), n);
    expect(codes.of('pay', true)).toEqual([]);
    expect(codes.of('service 499', true)).toEqual([]);
    expect(codes.of('service 500', true)).toHaveLength(1);
  });
});
