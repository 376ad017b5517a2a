/** Bodies by codec, and typed services: what each end sends, reads and refuses. */
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';

import {
  Client,
  type ClientOptions,
  type Codec,
  connect,
  defineService,
  isMajordomoError,
  json,
  service,
  ServiceError,
  type StandardSchema,
} from '../../../src/sdk/client.js';
import { type Handler, Worker } from '../../../src/sdk/worker.js';
import { FakeNet, shown } from './fake-dial.js';

const A = 'tcp://a:1';
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A client that is connected, and the net that it talks to. */
function connected<In, Out, Types>(
  options: ClientOptions<In, Out, Types>,
): { client: Client<In, Out, Types>; net: FakeNet } {
  const net = new FakeNet();
  const client = new Client({ endpoints: A, dial: net.dial, timeoutMs: 2500, ...options });
  closing.push(() => client.close());
  net.link.events.connected();
  net.link.written();
  return { client, net };
}

/** Answers the request that was sent, and returns its body. */
function answer(net: FakeNet, ...body: string[]): string {
  const frames = net.link.written()[0] ?? [];
  const [id = '', , , , service = ''] = frames;
  net.link.says(id, '', 'MDPC02', '\x03', service, ...body);
  return shown([frames.slice(5)])[0] ?? '';
}

/** A worker that got one request; `sent` are the messages that it answered with. */
async function asked(
  body: string,
  make: (net: FakeNet) => Worker<never, never, never> | object,
): Promise<{ sent: string[]; failed: unknown[] }> {
  const net = new FakeNet();
  const worker = make(net) as Worker;
  closing.push(() => worker.close({ graceMs: 0 }));
  const failed: unknown[] = [];
  worker.on('failed', ({ error }) => failed.push(error));
  void worker.run();
  net.link.events.connected();
  net.link.says('', 'MDPC02', '\x03', 'mmi.broker', '200', '{"extensions":["fail"]}');
  net.link.written();
  net.link.says('MDPW02', '\x02', 'token', '', body);
  await turn();
  await turn();
  return { sent: shown(net.link.written()), failed };
}

async function thrown(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => 'resolved',
    (error: unknown) => error,
  );
}

const BROKEN: Codec<unknown, unknown> = {
  contentType: 'text/broken',
  encode: () => {
    throw new Error('no pen');
  },
  decode: () => {
    throw new Error('no glasses');
  },
};

describe('a client with a codec', () => {
  it('json(): any JSON value is a body, and reply.value its parse', async () => {
    for (const value of [{ a: [1, 'ü'] }, [1, 2], 'text', 7, true, null]) {
      const { client, net } = connected({ codec: json() });
      const reply = client.request('echo', value);
      expect(answer(net, JSON.stringify(value))).toBe(
        shown([[Buffer.from(JSON.stringify(value))]])[0],
      );
      const { value: read } = await reply;
      expect(read).toEqual(value);
      expect((await reply).value).toBe(read);
      expect((await reply).text()).toBe(JSON.stringify(value));
    }
  });

  it('reads the joined frames, parts of streams, and replies joined of parts', async () => {
    const { client, net } = connected({ codec: json<number[]>() });
    const reply = client.request('echo', [0]);
    answer(net, '[1,', '2]');
    expect((await reply).value).toEqual([1, 2]);
    const parts = client.stream('echo', [0]);
    const part = parts.next();
    answer(net, '[3]');
    const got = await part;
    expect([got.value?.value, got.value?.final]).toEqual([[3], true]);
  });

  it('still asks the broker in text and bytes', async () => {
    const { client, net } = connected({ codec: json() });
    const reply = client.request('mmi.service', 'echo');
    expect(answer(net, '200')).toBe('echo');
    expect((await reply).text()).toBe('200');
  });

  it('without one, value is the bytes', async () => {
    const { client, net } = connected({});
    const reply = client.request('echo', 'x');
    answer(net, 'a', 'b');
    expect(String((await reply).value)).toBe('ab');
  });

  it('a value that cannot be encoded: ERR_MDP_CODEC, and nothing is sent', async () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [undefined, () => 1, 10n, cycle]) {
      const { client, net } = connected({ codec: json() });
      const error = await thrown(client.request('echo', value));
      expect(error).toMatchObject({ code: 'ERR_MDP_CODEC', details: { option: 'codec' } });
      expect(net.link.written()).toEqual([]);
      expect(client.outstanding).toBe(0);
    }
    const { client } = connected({ codec: BROKEN });
    expect(await thrown(client.request('echo', 'x'))).toMatchObject({
      message: 'codec text/broken: cannot encode the value: no pen',
      cause: { message: 'no pen' },
    });
    expect(await thrown(client.submit('echo', 'x'))).toMatchObject({ code: 'ERR_MDP_CODEC' });
    expect(() => client.stream('echo', 'x')).toThrow(
      expect.objectContaining({ code: 'ERR_MDP_CODEC' }),
    );
    const wrong = { ...BROKEN, encode: () => 7 } as never;
    const { client: other } = connected({ codec: wrong });
    expect(await thrown(other.request('echo', 'x'))).toMatchObject({
      message: 'codec text/broken: encode returned number, not a string or bytes',
    });
  });

  it('a reply that cannot be decoded: ERR_MDP_CODEC, and its frames are not lost', async () => {
    const { client, net } = connected({ codec: json() });
    const reply = client.request('echo', 1);
    answer(net, 'not JSON');
    const message = await reply;
    expect(() => message.value).toThrow(expect.objectContaining({ code: 'ERR_MDP_CODEC' }));
    expect(message.text()).toBe('not JSON');
  });

  const none: [unknown, string][] = [
    ['json', 'codec'],
    [{ encode: String }, 'codec'],
    [{ encode: String, decode: String }, 'codec.contentType'],
    [null, 'codec'],
  ];
  it.each(none)('%j is ERR_MDP_OPTION', (codec, option) => {
    const error = expect.objectContaining({ code: 'ERR_MDP_OPTION', details: { option } });
    expect(() => connect(A, { codec: codec as Codec })).toThrow(error);
    const options = { endpoints: A, service: 'echo', codec: codec as Codec };
    expect(() => new Worker(options, () => 1)).toThrow(error);
  });
});

describe('a worker with a codec', () => {
  const made = (handler: (value: unknown) => unknown, codec: Codec = json()) => {
    return (net: FakeNet): object =>
      new Worker({ endpoints: A, service: 's', name: '', dial: net.dial, codec }, ({ value }) =>
        handler(value),
      );
  };

  it('reads request.value, and makes the answer of any value, also of a promise', async () => {
    expect(
      (
        await asked(
          '[1,2]',
          made((value) => ({ got: value })),
        )
      ).sent,
    ).toEqual(['MDPW02|\\x04|token||{"got":[1,2]}']);
    expect(
      (
        await asked(
          '1',
          made(async () => [null, 7]),
        )
      ).sent,
    ).toEqual(['MDPW02|\\x04|token||[null,7]']);
    expect(
      (
        await asked(
          '1',
          made(() => null),
        )
      ).sent,
    ).toEqual(['MDPW02|\\x04|token||null']);
  });

  it('and of the parts that a generator yields', async () => {
    async function* parts(): AsyncGenerator<unknown, unknown> {
      yield { part: 1 };
      return 'last';
    }
    expect((await asked('1', made(parts))).sent).toEqual([
      'MDPW02|\\x03|token||{"part":1}',
      'MDPW02|\\x04|token||"last"',
    ]);
  });

  it('a body that it cannot read: the client gets invalid_argument', async () => {
    const { sent, failed } = await asked(
      'not JSON',
      made((value) => value),
    );
    expect(sent).toEqual([
      expect.stringMatching(
        /\|final\|invalid_argument\|the body is not application\/json: .*"option":"codec"/,
      ),
    ]);
    expect(failed).toHaveLength(1);
  });

  it('an answer that cannot be encoded fails the request, and names the option', async () => {
    const { sent, failed } = await asked(
      '1',
      made(() => undefined),
    );
    expect(sent).toEqual([expect.stringContaining('|error|ERR_MDP_CODEC|codec application/json')]);
    expect(failed).toEqual([
      expect.objectContaining({ details: expect.objectContaining({ option: 'codec' }) }),
    ]);
    const lazy: Codec = { ...BROKEN, decode: String };
    expect(
      (
        await asked(
          '1',
          made(() => 1, lazy),
        )
      ).failed,
    ).toEqual([expect.objectContaining({ code: 'ERR_MDP_CODEC' })]);
  });
});

/** A schema without a library: what `check` says is wrong is an issue; the output is `to` of the value. */
function schema<Input, Output = Input>(
  check: (value: unknown) => string | null,
  to: (value: Input) => Output = (value) => value as never,
): StandardSchema<Input, Output> {
  const validate = (value: unknown): { value: Output } | { issues: { message: string }[] } => {
    const what = check(value);
    if (what === null) return { value: to(value as Input) };
    return { issues: [{ message: what, path: ['country', { key: 0 }] }] as never };
  };
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

const Country = schema<{ country: string }, { country: string; upper: string }>(
  (value) => (typeof (value as { country?: unknown }).country === 'string' ? null : 'not text'),
  ({ country }) => ({ country, upper: country.toUpperCase() }),
);
const Rate = schema<{ rate: number }>((value) =>
  typeof (value as { rate?: unknown }).rate === 'number' ? null : 'not a number',
);

describe('typed services', () => {
  it('by types alone: call() and handlers have them', async () => {
    const contract = defineService<{
      'tax.rate': { input: { country: string }; output: { rate: number } };
    }>();
    const { client, net } = connected({ contract });
    const call = client.call('tax.rate', { country: 'DE' });
    expect(answer(net, '{"rate":0.19}')).toBe('{"country":"DE"}');
    const { rate }: { rate: number } = await call;
    expect(rate).toBe(0.19);
    // @ts-expect-error it has no such service
    const other = client.call('tax.rates', { country: 'DE' });
    // @ts-expect-error its request is another
    const wrong = client.call('tax.rate', { land: 'DE' });
    void Promise.allSettled([other, wrong]);
    const { sent } = await asked(
      '{"country":"DE"}',
      (dial) =>
        new Worker({
          ...{ endpoints: A, name: '', dial: dial.dial, contract },
          services: { 'tax.rate': ({ value }) => ({ rate: value.country.length }) },
        }),
    );
    expect(sent).toEqual(['MDPW02|\\x04|token||{"rate":2}']);
  });

  const contract = defineService({ 'tax.rate': { input: Country, output: Rate } });

  function rated(handler: (upper: string) => { rate: number }): (net: FakeNet) => object {
    return (net) =>
      new Worker({
        ...{ endpoints: A, name: '', dial: net.dial, contract },
        services: { 'tax.rate': ({ value }) => handler(value.upper) },
      });
  }

  it('a validator changes what the other end receives, not what is sent', async () => {
    const { client, net } = connected({ contract });
    const call = client.call('tax.rate', { country: 'de' });
    expect(answer(net, '{"rate":1}')).toBe('{"country":"de"}');
    expect((await call).rate).toBe(1);
    let upper = '';
    const { sent } = await asked(
      '{"country":"de"}',
      rated((given) => {
        upper = given;
        return { rate: 2 };
      }),
    );
    expect([upper, sent]).toEqual(['DE', ['MDPW02|\\x04|token||{"rate":2}']]);
  });

  it('a wrong request is invalid_argument at the client, and not sent', async () => {
    const { client, net } = connected({ contract });
    const error = await thrown(client.call('tax.rate', { country: 7 as never }));
    if (!isMajordomoError(error, 'ERR_SERVICE_FAILED')) throw error;
    const issues = [{ message: 'not text', path: ['country', '0'] }];
    expect(error).toMatchObject({
      ...{ serviceCode: 'invalid_argument', service: 'tax.rate', details: { issues } },
      message: "the input of 'tax.rate' is wrong: country.0: not text",
    });
    expect(net.link.written()).toEqual([]);
  });

  it('and at the worker, whose handler does not run', async () => {
    let ran = false;
    const { sent } = await asked(
      '{"country":7}',
      rated(() => {
        ran = true;
        return { rate: 1 };
      }),
    );
    expect(sent).toEqual([
      expect.stringMatching(/\|final\|invalid_argument\|.*\|\{"issues":\[\{"message":"not text"/),
    ]);
    expect(ran).toBe(false);
  });

  it('a wrong reply is invalid_reply at either end', async () => {
    const { sent } = await asked(
      '{"country":"DE"}',
      rated(() => ({ rate: '1' as never })),
    );
    expect(sent).toEqual([expect.stringContaining('|error|invalid_reply|')]);
    const { client, net } = connected({ contract });
    const call = client.call('tax.rate', { country: 'DE' });
    answer(net, '{"rate":"1"}');
    expect(await thrown(call)).toMatchObject({ serviceCode: 'invalid_reply', service: 'tax.rate' });
  });

  const resize = service('resize', {
    input: z.object({ width: z.number() }),
    output: z.object({ bytes: z.number() }),
    progress: z.object({ percent: z.number() }),
    errors: { too_wide: z.object({ most: z.number() }) },
  });

  /** What a worker with this handler sends after one request. */
  async function resized(
    handler: Handler<{ width: number }, { bytes: number }, { percent: number }>,
  ): Promise<string[]> {
    const { sent } = await asked(
      '{"width":3}',
      ({ dial }) =>
        new Worker({
          ...{ endpoints: A, name: '', dial, contract: resize },
          services: { resize: handler },
        }),
    );
    return sent;
  }

  it('tells of progress apart from the reply, in a stream and to one who only waits for the reply', async () => {
    const sent = await resized(({ value }, context) => {
      context.progress({ percent: 50 });
      return { bytes: value.width };
    });
    expect(sent).toEqual([
      ...['MDPW02|\\x03|token||MDPP01|{"percent":50}', 'MDPW02|\\x04|token||{"bytes":3}'],
    ]);
    const { client, net } = connected({ contract: resize });
    const parts = client.stream('resize', { width: 3 });
    const first = parts.next();
    const [id = ''] = net.link.written()[0] ?? [];
    net.link.says(id, '', 'MDPC02', '\x02', 'resize', 'MDPP01', '{"percent":50}');
    net.link.says(id, '', 'MDPC02', '\x03', 'resize', '{"bytes":3}');
    const told: unknown[] = [];
    const { value } = await first;
    if (value?.progress === true) told.push(value.value.percent);
    for await (const part of parts) if (!part.progress) told.push(part.value.bytes, part.final);
    expect(told).toEqual([50, 3, true]);
    const call = client.call('resize', { width: 3 });
    const [next = ''] = net.link.written()[0] ?? [];
    net.link.says(next, '', 'MDPC02', '\x02', 'resize', 'MDPP01', '{"percent":50}');
    net.link.says(next, '', 'MDPC02', '\x03', 'resize', '{"bytes":3}');
    expect(await call).toEqual({ bytes: 3 });
  });

  it('progress that is wrong ends the request, wherever it is found', async () => {
    const sent = await resized((_request, context) => {
      context.progress({ percent: 'half' as never });
      return { bytes: 1 };
    });
    expect(sent).toEqual([expect.stringContaining('|error|invalid_reply|')]);
  });

  it('sends the errors that a service declares, with details that are checked, and no others', async () => {
    const thrownBy = async (error: () => Error): Promise<string> => {
      const sent = await resized(() => {
        throw error();
      });
      return sent[0] ?? '';
    };
    const details = { most: 2 };
    expect(
      await thrownBy(() => resize.error('resize', 'too_wide', 'no', { retry: false, details })),
    ).toContain('|final|too_wide|no|{"most":2}');
    expect(await thrownBy(() => new ServiceError('too_wide', 'no', { details: {} }))).toContain(
      "|error|invalid_error|the error 'too_wide' of 'resize' is wrong: most: ",
    );
    expect(await thrownBy(() => new ServiceError('other', 'no'))).toContain(
      "|invalid_error|'resize' does not declare the error 'other': no",
    );
    expect(await thrownBy(() => new Error('slip'))).toContain('|error|Error|slip');
    expect(() =>
      resize.error('resize', 'too_wide', 'no', { details: { most: '2' as never } }),
    ).toThrow(expect.objectContaining({ serviceCode: 'invalid_error' }));
    const { client, net } = connected({ contract: resize });
    const call = client.call('resize', { width: 3 });
    const [id = ''] = net.link.written()[0] ?? [];
    const failure = ['resize', 'too_wide', 'no', '{"most":2}'];
    net.link.says(id, '', 'MDPC02', '\x03', 'mmi.failed', ...failure);
    const error = await thrown(call);
    if (!resize.isError('resize', error, 'too_wide')) throw error;
    expect(error.details.most).toBe(2);
  });

  it('knows no job of a service that is not in it', () => {
    const { client } = connected({ contract: resize });
    const unknown = expect.objectContaining({ details: { option: 'service' } });
    expect(() => client.job('0'.repeat(32), 'other' as 'resize')).toThrow(unknown);
  });

  it('has the types of enqueue, schedule, stream and jobs, and takes no other service', () => {
    const { client } = connected({ contract: resize });
    const typed = async (): Promise<void> => {
      const job = await client.enqueue('resize', { width: 1 });
      let sum: number = (await job.result()).value.bytes;
      for await (const part of job.progress()) {
        sum += part.progress ? part.value.percent : part.value.bytes;
      }
      sum += (await client.job(job.uuid, 'resize').result()).value.bytes;
      await client.schedule('daily', 'resize', { width: 1 }, { cron: '@daily' });
      // @ts-expect-error its input is another
      await client.enqueue('resize', { height: 1 });
      // @ts-expect-error its input is another
      await client.enqueue('resize', 'text');
      // @ts-expect-error there is no such service
      await client.enqueue('other', { width: 1 });
      // @ts-expect-error its input is another
      await client.schedule('daily', 'resize', {}, { cron: '@daily' });
      // @ts-expect-error its input is another
      client.stream('resize', 1);
      // @ts-expect-error it has no such error
      resize.error('resize', 'too_high', '', { details: { most: 1 } });
      // @ts-expect-error the details of the error are others
      resize.error('resize', 'too_wide', '', { details: { least: 1 } });
      expect(sum).toBe(0);
    };
    expect(typed).toBeInstanceOf(Function);
  });

  const bad: [string, () => unknown][] = [
    [
      'returned a promise: a validator must answer at once',
      () => Promise.reject(new Error('late')),
    ],
    [
      'threw an error: slip',
      () => {
        throw new Error('slip');
      },
    ],
    ['returned neither a value nor issues', () => undefined],
    ['returned neither a value nor issues', () => ({ ok: true })],
  ];
  it.each(bad)(
    'a validator that %s: ERR_MDP_CODEC names it, nothing is sent or lost',
    async (what, validate) => {
      const input = { '~standard': { version: 1, vendor: 'test', validate } } as StandardSchema;
      const broken = defineService({ s: { input } });
      const { client, net } = connected({ contract: broken });
      const option = "services['s'].input";
      expect(await thrown(client.call('s', 1))).toMatchObject({
        ...{ code: 'ERR_MDP_CODEC', message: `the validator ${option} ${what}` },
        details: { option },
      });
      expect(net.link.written()).toEqual([]);
      const { sent } = await asked(
        '1',
        (dial) =>
          new Worker({
            endpoints: A,
            name: '',
            dial: dial.dial,
            contract: broken,
            services: { s: () => 1 },
          }),
      );
      expect(sent).toEqual([
        expect.stringContaining(`|error|ERR_MDP_CODEC|the validator ${option}`),
      ]);
      const errors = defineService({ s: { errors: { bad: input } } });
      const failed = await asked(
        '1',
        (dial) =>
          new Worker({
            ...{ endpoints: A, name: '', dial: dial.dial, contract: errors },
            services: {
              s: () => {
                throw new ServiceError('bad', 'no');
              },
            },
          }),
      );
      expect(failed.sent).toEqual([expect.stringContaining('|error|ERR_MDP_CODEC|the validator')]);
    },
  );

  it('takes the schemas of a library: Zod', async () => {
    const input = z.object({ country: z.string().length(2) });
    const output = z.object({ rate: z.number() });
    const { client, net } = connected({ contract: defineService({ tax: { input, output } }) });
    const call = client.call('tax', { country: 'DE' });
    answer(net, '{"rate":0.5,"more":1}');
    const read: { rate: number } = await call;
    expect(read).toEqual({ rate: 0.5 });
    expect(await thrown(client.call('tax', { country: 'DEU' }))).toMatchObject({
      serviceCode: 'invalid_argument',
      details: { issues: [{ path: ['country'] }] },
    });
  });

  it('wrong definitions: ERR_MDP_OPTION', async () => {
    const services: [unknown, string][] = [
      [null, 'services'],
      ['tax', 'services'],
      [{ s: null }, "services['s']"],
      [{ s: { input: {} } }, "services['s'].input"],
      [{ s: { ask: Country } }, "services['s'].ask"],
      [{ s: { errors: { bad: {} } } }, "services['s'].errors.bad"],
      [{ s: { errors: 'bad' } }, "services['s'].errors"],
    ];
    for (const [given, option] of services) {
      expect(() => defineService(given as Record<string, never>)).toThrow(
        expect.objectContaining({ code: 'ERR_MDP_OPTION', details: { option } }),
      );
    }
    expect(() => defineService(undefined, { codex: json() } as object)).toThrow(
      expect.objectContaining({ details: { option: 'codex' } }),
    );
    const option = { details: { option: 'contract' } };
    expect(() => connect(A, { contract: {} as never })).toThrow(expect.objectContaining(option));
    const { client } = connected({});
    expect(await thrown(client.call('s' as never, 1 as never))).toMatchObject(option);
    const { client: known } = connected({ contract });
    expect(await thrown(known.call('other' as 'tax.rate', { country: '' }))).toMatchObject({
      ...{ code: 'ERR_MDP_OPTION', details: { option: 'service' } },
    });
    const worker = { endpoints: A, contract };
    const wrongs: [object, string][] = [
      [{ ...worker, services: { other: () => 1 } }, 'service'],
      [{ ...worker, service: 'tax.rate' }, 'services'],
      [{ ...worker, services: { 'tax.rate': () => 1 }, codec: json() }, 'codec'],
    ];
    for (const [options, named] of wrongs) {
      expect(() => new Worker(options)).toThrow(
        expect.objectContaining({ code: 'ERR_MDP_OPTION', details: { option: named } }),
      );
    }
  });
});
