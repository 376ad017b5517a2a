import {
  Client,
  type ClientInterceptor,
  json,
  type Reply,
  type Schedule,
  ServiceError,
} from '../../../src/sdk/client.js';
import { type Handler, Worker, type WorkerInterceptor } from '../../../src/sdk/worker.js';
import { startTestBroker, type TestBroker } from '../../../src/testing/testing.js';

let broker: TestBroker;
const closing: { close: () => Promise<void> }[] = [];

beforeEach(async () => {
  broker = await startTestBroker();
});

afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
  await broker.close();
});

function client(...interceptors: ClientInterceptor[]): Client {
  const made = new Client({ endpoints: broker.endpoint, interceptors });
  closing.push(made);
  return made;
}

async function serve(handler: Handler, ...interceptors: WorkerInterceptor[]): Promise<void> {
  const worker = new Worker({ endpoints: broker.endpoint, service: 's', interceptors }, handler);
  closing.push(worker);
  await worker.ready;
}

/** Notes when it begins and ends, and how. */
function noting(notes: string[], name: string): ClientInterceptor {
  return async (request, next) => {
    notes.push(`${name} ${request.kind} ${request.service}`);
    try {
      return await next(request);
    } catch (error) {
      notes.push(`${name} ${String(error)}`);
      throw error;
    } finally {
      notes.push(`${name} ends`);
    }
  };
}

describe('interceptors of a client', () => {
  it('surround a request, the first outermost', async () => {
    const notes: string[] = [];
    await serve(({ frames }) => frames);
    const reply = await client(noting(notes, 'a'), noting(notes, 'b')).request('s', 'hello');
    expect(reply.text()).toBe('hello');
    expect(notes).toEqual(['a request s', 'b request s', 'b ends', 'a ends']);
  });

  it('change a request, repeat it, and answer in its place', async () => {
    await serve(({ headers, frames }) => [headers['k'] ?? '', ...frames]);
    const adding: ClientInterceptor = async (request, next) =>
      await next({ ...request, body: 'b', options: { headers: { k: 'v' } } });
    expect((await client(adding).request('s', 'a')).text()).toBe('vb');

    const again: ClientInterceptor = async (request, next) => {
      const first = await next(request);
      return await next({ ...request, body: (first as Reply).text() + '!' });
    };
    expect((await client(again).request('s', 'a')).text()).toBe('a!');

    const known = await client().request('s', 'known');
    expect((await client(() => Promise.resolve(known)).request('none', 'x')).text()).toBe('known');
  });

  it('see failures, and what they throw is what the caller gets', async () => {
    const notes: string[] = [];
    await serve(() => {
      throw new ServiceError('wrong', 'no');
    });
    await expect(client(noting(notes, 'a')).request('s', '')).rejects.toMatchObject({
      serviceCode: 'wrong',
    });
    expect(notes).toHaveLength(3);
    const throws: ClientInterceptor = () => {
      throw new Error('mine');
    };
    await expect(client(throws).request('s', '')).rejects.toThrow('mine');
    await expect(client(throws).submit('s', '')).rejects.toThrow('mine');
    await expect(client(throws).stream('s', '').next()).rejects.toThrow('mine');
  });

  it('must return what next() resolves with', async () => {
    const forgetful = (() => Promise.resolve(undefined)) as never;
    await expect(client(forgetful).request('s', '')).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
      details: { option: 'interceptors' },
    });
    expect(await client(forgetful).stream('s', '').next()).toEqual({
      done: true,
      value: undefined,
    });
  });

  it('surround a stored request, and a stream from its first part to its end', async () => {
    const notes: string[] = [];
    await serve(async function* () {
      yield 'one';
      await Promise.resolve();
      return 'two';
    });
    const noted = client(noting(notes, 'a'));
    const job = await noted.enqueue('s', '');
    expect((await job.result()).text()).toBe('onetwo');
    const parts = noted.stream('s', '');
    expect(notes).toEqual(['a enqueue s', 'a ends']);
    for await (const part of parts) notes.push(part.text());
    expect(notes.slice(2)).toEqual(['a stream s', 'one', 'two', 'a ends']);
  });

  it('surround a schedule, and change its requests', async () => {
    const notes: string[] = [];
    const changing: ClientInterceptor = async (request, next) => {
      notes.push(`${request.name ?? ''} ${JSON.stringify(request.options)}`);
      const made = await next({ ...request, name: 'mine', options: { cron: '@weekly' } });
      notes.push(`${(made as Schedule).name} ${(made as Schedule).cron}`);
      return made;
    };
    const scheduling = client(noting(notes, 'a'), changing);
    const made = await scheduling.schedule('nightly', 's', 'x', { cron: '@daily' });
    expect(made).toMatchObject({ name: 'mine', service: 's', cron: '@weekly' });
    expect(await scheduling.schedules()).toEqual([made]);
    await expect(
      client(noting(notes, 'b')).schedule('n', 's', '', { cron: '' }),
    ).rejects.toMatchObject({ details: { option: 'cron' } });
    expect(notes).toEqual([
      'a schedule s',
      'nightly {"cron":"@daily"}',
      'mine @weekly',
      'a ends',
      'b schedule s',
      'b MajordomoError: cron must be a cron line',
      'b ends',
    ]);
  });

  it('end when the reader of a stream leaves, and when it breaks', async () => {
    const notes: string[] = [];
    await serve(async function* () {
      yield 'one';
      await Promise.resolve();
      throw new ServiceError('broken', 'off');
    });
    const noted = client(noting(notes, 'a'));
    for await (const part of noted.stream('s', '')) {
      notes.push(part.text());
      break;
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(notes).toEqual(['a stream s', 'one', 'a ends']);
    const parts = noted.stream('s', '');
    await parts.next();
    await expect(parts.next()).rejects.toMatchObject({ serviceCode: 'broken' });
    expect(notes.at(-2)).toMatch(/^a ServiceError/);
  });

  it('cannot begin a stream twice', async () => {
    await serve(({ frames }) => frames);
    const twice: ClientInterceptor = async (request, next) => {
      void next(request);
      return await next(request);
    };
    const parts = client(twice).stream('s', 'x');
    await expect(parts.next()).rejects.toMatchObject({ details: { option: 'interceptors' } });
  });

  it('may begin a stream again that failed before its first part', async () => {
    let calls = 0;
    await serve(({ frames }) => {
      if (calls++ === 0) throw new ServiceError('busy', 'later');
      return frames;
    });
    const again: ClientInterceptor = async (request, next) => {
      try {
        return await next(request);
      } catch {
        return await next(request);
      }
    };
    const texts: string[] = [];
    for await (const part of client(again).stream('s', 'x')) texts.push(part.text());
    expect(texts).toEqual(['x']);
  });

  it('a stream is left at once although it waits for a part', async () => {
    const notes: string[] = [];
    const stuck = client(noting(notes, 'a')).stream('none', 'x');
    const waiting = stuck.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await stuck.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(notes).toEqual(['a stream none', 'a ends']);

    // Also while an interceptor has not begun it: then nothing is sent.
    let go = (): void => undefined;
    const late: ClientInterceptor = async (request, next) => {
      await new Promise<void>((resolve) => (go = resolve));
      return await next(request);
    };
    const asking = client(late);
    const parts = asking.stream('none', 'x');
    const first = parts.next();
    await parts.return?.();
    expect((await first).done).toBe(true);
    go();
    await new Promise((resolve) => setImmediate(resolve));
    expect(asking.outstanding).toBe(0);
  });

  it('that reject end an open stream, though its reader waits for a part', async () => {
    let finish = (): void => undefined;
    await serve(async function* () {
      yield 'one';
      await new Promise<void>((resolve) => (finish = resolve));
      return 'never read';
    });
    let reject: (error: Error) => void = () => undefined;
    const asking = client(async (request, next) => {
      const rejected = new Promise<never>((_resolve, rejecting) => (reject = rejecting));
      return await Promise.race([next(request), rejected]);
    });
    const parts = asking.stream('s', '');
    expect((await parts.next()).value?.text()).toBe('one');
    const second = parts.next();
    reject(new Error('over budget'));
    await expect(second).rejects.toThrow('over budget');
    expect(await parts.next()).toEqual({ done: true, value: undefined });
    expect(asking.outstanding).toBe(0);
    finish();
  });

  it('that reject between two parts are heard at the next, before parts that wait', async () => {
    await serve(async function* () {
      for (const part of ['one', 'two', 'three']) {
        yield part;
        await Promise.resolve();
      }
      return 'four';
    });
    let reject: (error: Error) => void = () => undefined;
    const parts = client(async (request, next) => {
      const rejected = new Promise<never>((_resolve, rejecting) => (reject = rejecting));
      return await Promise.race([next(request), rejected]);
    }).stream('s', '');
    expect((await parts.next()).value?.text()).toBe('one');
    await new Promise((resolve) => setTimeout(resolve, 20));
    reject(new Error('over budget'));
    await new Promise((resolve) => setImmediate(resolve));
    await expect(parts.next()).rejects.toThrow('over budget');
    expect((await parts.next()).done).toBe(true);
  });

  it('that do not await a stream leave its error to the reader', async () => {
    await serve(() => {
      throw new ServiceError('wrong', 'no');
    });
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    const floating: ClientInterceptor = (request, next) => {
      void next(request);
      return Promise.resolve(null);
    };
    await expect(client(floating).stream('s', '').next()).rejects.toMatchObject({
      serviceCode: 'wrong',
    });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  it.each([
    { given: 'x', message: 'interceptors must be a list of functions' },
    { given: [null], message: 'interceptors[0] must be a function' },
  ])('are functions: $message', ({ given, message }) => {
    const options = { endpoints: broker.endpoint, service: 's', interceptors: given as never };
    expect(() => new Client(options)).toThrow(expect.objectContaining({ message }));
    expect(() => new Worker(options, () => '')).toThrow(expect.objectContaining({ message }));
  });
});

describe('interceptors of a worker', () => {
  it('surround handlers, see their answers and errors, and may answer themselves', async () => {
    const notes: unknown[] = [];
    await serve(
      ({ value }) => {
        if (value.toString() === 'bad') throw new ServiceError('wrong', 'no');
        return 'answer';
      },
      async (request, next) => {
        if (request.text() === 'cached') return 'mine';
        try {
          const answer = await next();
          notes.push(answer);
          return answer;
        } catch (error) {
          notes.push(String(error));
          throw error;
        }
      },
    );
    const asking = client();
    expect((await asking.request('s', 'good')).text()).toBe('answer');
    expect((await asking.request('s', 'cached')).text()).toBe('mine');
    await expect(asking.request('s', 'bad')).rejects.toMatchObject({ serviceCode: 'wrong' });
    expect(notes).toEqual(['answer', 'ServiceError: no']);
  });

  it('get the last part of a handler that streams', async () => {
    const notes: unknown[] = [];
    await serve(
      async function* () {
        yield 'one';
        await Promise.resolve();
        return 'two';
      },
      async (_request, next) => {
        notes.push(await next());
        return 'three';
      },
    );
    const texts: string[] = [];
    for await (const part of client().stream('s', '')) texts.push(part.text());
    expect(texts).toEqual(['one', 'three']);
    expect(notes).toEqual(['two']);
  });

  it('see values, as the codec reads them', async () => {
    const values: unknown[] = [];
    const worker = new Worker(
      {
        endpoints: broker.endpoint,
        service: 's',
        codec: json<number, number>(),
        interceptors: [
          async (request, next) => {
            values.push(request.value);
            const answer = await next();
            values.push(answer);
            return answer + 1;
          },
        ],
      },
      ({ value }) => value * 2,
    );
    closing.push(worker);
    await worker.ready;
    const asking = new Client({ endpoints: broker.endpoint, codec: json<number>() });
    closing.push(asking);
    expect((await asking.request('s', 21)).value).toBe(43);
    expect(values).toEqual([21, 42]);
  });
});
