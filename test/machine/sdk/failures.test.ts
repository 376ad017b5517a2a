import { fittingFailure, failureOf } from '../../../src/sdk/worker/failure-of.js';
import { FailureReport } from '../../../src/sdk/worker/failure-report.js';
import { ServiceError, serviceError } from '../../../src/sdk/service-error.js';
import { fakeTimers } from '../../support/fake-timers.js';

class CardError extends Error {}

describe('what a worker says of an error', () => {
  it.each<[string, unknown, string, string]>([
    ['its code, if it is a short identifier', coded('ENOENT'), 'ENOENT', 'm'],
    ['its class, if its code is none', coded('not an identifier'), 'Error', 'm'],
    ['its class, if its code is the broker’s', coded('mdp.lost'), 'Error', 'm'],
    ['its class, if it has no code', new CardError('m'), 'CardError', 'm'],
    ['what was thrown instead', 'a text', 'Error', 'a text'],
    ['nothing', undefined, 'Error', 'undefined'],
  ])('is %s', (_, error, code, text) => {
    expect(failureOf(error, true)).toEqual({ kind: 'error', code, text, detail: [] });
    expect(failureOf(error, false)).toMatchObject({ code, text: '' });
  });

  it('is the kind that a ServiceError asks for by retry', () => {
    const kindOf = (retry?: boolean | 'elsewhere'): string =>
      failureOf(new ServiceError('E', 'm', retry === undefined ? {} : { retry }), false).kind;
    expect([kindOf(), kindOf(true), kindOf(false), kindOf('elsewhere')]).toEqual([
      'error',
      'error',
      'final',
      'retry',
    ]);
  });

  it('has the details of a ServiceError, or says why not; code and kind are told in any case', () => {
    const told = (details: Record<string, unknown>): string =>
      String(failureOf(new ServiceError('E', 'm', { retry: false, details }), false).detail);
    expect(told({ a: 1 })).toBe('{"a":1}');
    expect(told({})).toBe('');
    expect(told({ big: 'x'.repeat(70_000) })).toMatch(
      /^\{"omitted":"the details have 700\d\d bytes/,
    );
    expect(told({ big: 1n })).toMatch(/^\{"omitted":"the details are not JSON/);
  });

  it('is as large as the broker accepts: the detail is left out first, then the end of the text', () => {
    const text = 'é'.repeat(512);
    const full = { kind: 'error', code: 'E', text, detail: [Buffer.alloc(4096)] } as const;
    expect(fittingFailure(full, Infinity)).toBe(full);
    expect(fittingFailure(full, 8192)).toBe(full);
    const without = fittingFailure(full, 4096);
    expect(without).toMatchObject({ kind: 'error', code: 'E', text: full.text });
    expect(String(without.detail)).toBe(
      '{"omitted":"the details have 4096 bytes, the broker accepts messages of at most 4096"}',
    );
    const least = { ...full, text: 'é'.repeat(384), detail: [] };
    expect(fittingFailure(full, 1024)).toEqual(least);
  });

  it('is something whatever was thrown, and whatever that does when it is looked at', () => {
    const bad = (): never => {
      throw Object.create(null);
    };
    const thrown: unknown[] = [
      Object.create(null),
      new Proxy({}, { has: bad, get: bad }),
      Object.defineProperty(new Error('m'), 'message', { get: bad }),
      Object.defineProperty(new Error('m'), 'code', { get: bad }),
      Object.assign(new Error('m'), { constructor: null }),
      { toString: bad },
      { code: 'ERR_SERVICE_FAILED', serviceCode: 'x' },
      { code: 'ERR_SERVICE_FAILED', serviceCode: 'x', message: 7, detail: [1, 2] },
      { code: 'ERR_SERVICE_FAILED', serviceCode: 'x', message: 'm', details: { toJSON: bad } },
      null,
      Symbol('s'),
    ];
    for (const error of thrown) {
      const failure = failureOf(error, true);
      expect(failure.code).toMatch(/^(Error|Object|x|ERR_SERVICE_FAILED)$/);
      expect(failure.detail.every((frame) => Buffer.isBuffer(frame))).toBe(true);
    }
  });

  it('tells what can be read of an error of which another part cannot', () => {
    const bad = (): never => {
      throw new Error('it cannot be read');
    };
    const without = (error: Error, field: string): Error =>
      Object.defineProperty(error, field, { get: bad });
    const told = (error: unknown): string[] => {
      const { kind, code, text } = failureOf(error, true);
      return [kind, code, text];
    };
    expect(told(without(new CardError('m'), 'code'))).toEqual(['error', 'CardError', 'm']);
    expect(told(without(new CardError('m'), 'message'))).toEqual(['error', 'CardError', '']);
    expect(told(without(new CardError('m'), 'stack'))).toEqual(['error', 'CardError', 'm']);
    expect(told(without(new CardError('m'), 'constructor'))).toEqual(['error', 'Error', 'm']);
    const failed = without(new ServiceError('E', 'm', { retry: false }), 'details');
    expect(told(failed)).toEqual(['final', 'E', 'm']);
    expect(String(failureOf(failed, true).detail)).toMatch(/^\{"omitted":/);
  });

  it('keeps code and kind where the frames of a service that it asked are too large', () => {
    const detail = [Buffer.alloc(100_000)];
    const error = Object.assign(new ServiceError('E', 'm', { retry: false }), { detail });
    const failure = failureOf(error, true);
    expect(failure).toMatchObject({ kind: 'final', code: 'E' });
    expect(String(failure.detail)).toMatch(/^\{"omitted":/);
  });

  it('is cut to 1 KiB of text', () => {
    expect(failureOf(new Error('€'.repeat(10_000)), true).text).toBe('€'.repeat(341));
  });
});

describe('a ServiceError', () => {
  it('has a code that can be sent', () => {
    for (const code of ['', 'a b', 'x'.repeat(65), 'é', 'mdp.', 'mdp.no-reply']) {
      expect(() => new ServiceError(code, 'm')).toThrow(/code of a ServiceError/);
    }
    expect(new ServiceError('mdp', 'm').serviceCode).toBe('mdp');
  });

  it('that a client gets may have a code of the broker, which a handler cannot give', () => {
    const received = serviceError('pay', { code: 'mdp.no-reply', text: 't', detail: [] });
    expect(received).toMatchObject({ service: 'pay', serviceCode: 'mdp.no-reply', message: 't' });
    expect(failureOf(received, true).code).toBe('Error');
  });

  it('that a client is told has the details of a handler, or the frames of anybody', () => {
    const told = (...frames: string[]): ServiceError =>
      serviceError('pay', { code: 'E', text: 't', detail: frames.map((f) => Buffer.from(f)) });
    expect(told('{"a":1}').details).toEqual({ a: 1 });
    expect(told('{"a":').details).toEqual({});
    expect(told('[1]').details).toEqual({});
    expect(told('{}', 'x').details).toEqual({});
    expect(told('x').detail).toEqual([Buffer.from('x')]);
    expect(serviceError('pay', { code: 'E', text: '', detail: [] }).message).toBe('E');
  });

  it('that was told by another service goes on as it came', () => {
    const detail = [Buffer.from('raw')];
    const error = serviceError('pay', { code: 'E', text: 't', detail });
    expect(failureOf(error, true)).toEqual({ kind: 'error', code: 'E', text: 't', detail });
  });
});

describe('the report of failures', () => {
  fakeTimers();

  const reporting = (): { report: FailureReport; lines: string[] } => {
    const lines: string[] = [];
    const report = new FailureReport(
      (line) => lines.push(line),
      () => performance.now(),
    );
    return { report, lines };
  };

  it('has a line a second for each code, and counts those left out', () => {
    const { report, lines } = reporting();
    for (const line of ['a1', 'a2', 'a3']) report.report('A', line);
    report.report('B', 'b1');
    expect(lines).toEqual(['a1', 'b1']);
    jest.advanceTimersByTime(1000);
    expect(lines).toEqual(['a1', 'b1', 'a3 (1 more with this code were not printed)']);
    report.report('A', 'a4');
    report.flush();
    expect(lines.slice(3)).toEqual(['a4']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('makes the detail of what it prints only: that of the last one left out is made later', () => {
    const { report } = reporting();
    const made: number[] = [];
    for (const which of [1, 2, 3]) report.report('A', 'a', () => String(made.push(which)));
    expect(made).toEqual([1]);
    jest.advanceTimersByTime(1000);
    expect(made).toEqual([1, 3]);
    report.flush();
  });

  it('has a bound on codes: the rest share one', () => {
    const { report, lines } = reporting();
    for (let code = 0; code < 1000; code++) report.report(`C${code}`, `c${code}`);
    expect(lines).toHaveLength(101);
    report.flush();
    expect(lines).toHaveLength(102);
  });
});

function coded(code: string): Error {
  return Object.assign(new Error('m'), { code });
}
