import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MajordomoError as DaemonError } from '../../../src/core/errors.js';
import { type Client, connect } from '../../../src/sdk/client.js';
import { SDK_ERRORS, type SdkErrorCode } from '../../../src/sdk/errors.js';
import { isMajordomoError, ServiceError } from '../../../src/sdk/worker.js';
import { FakeNet } from './fake-dial.js';

describe('docs/errors.md', () => {
  it('has exactly the codes of the SDK, each with the words of the code', () => {
    const page = readFileSync(join(process.cwd(), 'docs', 'errors.md'), 'utf8');
    const section = page.split('\n## ').find((part) => part.startsWith('SDK\n')) ?? '';
    const rows = [...section.matchAll(/^\| `(ERR_\w+)` +\| [^|]+\| (.+?) +\|$/gm)];
    const documented = new Map(rows.map(([, code, text]) => [code, text]));
    expect(documented).toEqual(new Map(Object.entries(SDK_ERRORS)));
  });
});

describe('the stack of an error for a wrong option or body', () => {
  it.each<readonly [string, (client: Client) => unknown]>([
    ['request', (client) => client.request('echo', 'x', { timeoutMs: '5' as never })],
    ['stream', (client) => client.stream('echo', 'x', { timeoutMs: '5' as never })],
    ['enqueue', (client) => client.enqueue('echo', 'x', { backoff: { baseMs: 'x' } as never })],
    ['the body of enqueue', (client) => client.submit('echo', 5 as never)],
  ])('has the line of the program: %s', async (_, begin) => {
    const client = connect('tcp://a:1', { dial: new FakeNet().dial });
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 10; // the default of Node.js
    const asked = async (): Promise<unknown> => await begin(client);
    const error: unknown = await asked().catch((thrown: unknown) => thrown);
    await client.close();
    if (!isMajordomoError(error)) throw new Error('not recognised');
    expect(error.code).toMatch(/^ERR_MDP_(OPTION|BODY)$/);
    expect(error.stack).toContain('errors.test');
    expect(Error.stackTraceLimit).toBe(10);
    Error.stackTraceLimit = limit;
  });
});

describe('isMajordomoError', () => {
  it('narrows the code of an error, for a compiler, too', async () => {
    const client = connect('tcp://a:1', { dial: new FakeNet().dial });
    await client.close();
    const error: unknown = await client.request('echo', 'x').catch((thrown: unknown) => thrown);
    if (!isMajordomoError(error)) throw new Error('not recognised');
    const code: SdkErrorCode = error.code;
    expect(code).toBe('ERR_MDP_CLOSED');
    expect(isMajordomoError(error, 'ERR_MDP_TIMEOUT')).toBe(false);
    if (!isMajordomoError(error, 'ERR_MDP_CLOSED')) throw new Error('not narrowed');
    const closed: 'ERR_MDP_CLOSED' = error.code;
    expect(closed).toBe('ERR_MDP_CLOSED');
    // @ts-expect-error there is no such code
    expect(isMajordomoError(error, 'ERR_MDP_CLSED')).toBe(false);
  });

  it('knows a failure of a service as a ServiceError', () => {
    const error: unknown = new ServiceError('declined', 'no');
    if (!isMajordomoError(error, 'ERR_SERVICE_FAILED')) throw new Error('not recognised');
    const { serviceCode, detail } = error;
    expect([serviceCode, detail]).toEqual(['declined', []]);
  });

  it.each([undefined, null, 'ERR_MDP_TIMEOUT', { code: 'ERR_MDP_TIMEOUT' }, new Error('x')])(
    'is false for %p',
    (thrown) => {
      expect(isMajordomoError(thrown)).toBe(false);
      expect(isMajordomoError(thrown, 'ERR_MDP_TIMEOUT')).toBe(false);
    },
  );

  it('is true for an error of another copy of the package, and nothing of that shows', () => {
    const brand = Symbol.for('majordomo.error');
    class Copy extends Error {
      readonly code = 'ERR_MDP_TIMEOUT';
      static {
        Object.defineProperty(this.prototype, brand, { value: true });
      }
    }
    expect(isMajordomoError(new Copy('x'), 'ERR_MDP_TIMEOUT')).toBe(true);
    const error = new DaemonError('ERR_MDP_TIMEOUT', 'x');
    expect(isMajordomoError(error, 'ERR_MDP_TIMEOUT')).toBe(true);
    expect(Reflect.ownKeys(error)).not.toContain(brand);
  });
});
