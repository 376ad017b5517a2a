/** Durable requests that are stored, run and answered in one exchange (D122), over real sockets. */
import { Client, type ClientOptions, type Job } from '../../../src/sdk/client.js';
import { type Handler, ServiceError, Worker } from '../../../src/sdk/worker.js';
import { startTestBroker, type TestBroker } from '../../../src/testing/testing.js';
import { closeRelays, TcpRelay } from '../../support/tcp-relay.js';
import { until } from '../../support/until.js';

let broker: TestBroker;
const closing: { close: () => Promise<void> }[] = [];

beforeEach(async () => {
  broker = await startTestBroker();
});

afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
  closeRelays();
  await broker.close();
});

function client(options: ClientOptions = {}): Client {
  const made = new Client({ endpoints: broker.endpoint, ...options });
  closing.push(made);
  return made;
}

async function serve(handler: Handler): Promise<void> {
  const worker = new Worker({ endpoints: broker.endpoint, service: 's' }, handler);
  closing.push(worker);
  await worker.ready;
}

/** Somebody else has had the reply. */
const HAD = { code: 'ERR_TITANIC_UNKNOWN' };

const upper: Handler = (request) => request.text().toUpperCase();

/** What the broker says of the request with this key, which it does not store again. */
async function foundBy(asking: Client, key: string): Promise<unknown> {
  return (await asking.enqueue('s', 'x', { idempotencyKey: key })).found;
}

describe('Client.callDurable', () => {
  it.each(['0.2', '0.1'] as const)('stores, runs and closes a request (%s)', async (protocol) => {
    await serve(upper);
    const asking = client({ protocol });
    const reply = await asking.callDurable('s', 'x', { idempotencyKey: 'k' });
    expect(reply.text()).toBe('X');
    // It went out with the reply, before anything that is asked now.
    expect(await foundBy(client(), 'k')).toBe('closed');
    const again = asking.callDurable('s', 'x', { idempotencyKey: 'k' });
    await expect(again).rejects.toMatchObject(HAD);
  });

  it('is closed by a client that is closed as soon as it has the reply', async () => {
    await serve(upper);
    const asking = client();
    await asking.callDurable('s', 'x', { idempotencyKey: 'k' });
    await asking.close();
    const other = client();
    await until(async () => (await foundBy(other, 'k')) === 'closed', 'the close has arrived');
  });

  it.each(['0.2', '0.1'] as const)('tells of the job once it is stored (%s)', async (protocol) => {
    const asking = client({ protocol });
    const jobs: Job[] = [];
    const onStored = (job: Job): void => void jobs.push(job);
    const reply = asking.callDurable('s', 'x', { idempotencyKey: 'k', onStored });
    await until(() => jobs.length > 0, 'it is stored');
    const [job] = jobs;
    expect(job).toMatchObject({ service: 's', existed: false, found: null });
    expect(await job?.state()).toEqual({ state: 'pending' });
    const found = asking.callDurable('s', 'x', { idempotencyKey: 'k', onStored });
    await until(() => jobs.length > 1, 'it is found');
    expect(jobs[1]).toMatchObject({ uuid: job?.uuid, existed: true, found: 'pending' });
    const { promise: seen, resolve: sees } = Promise.withResolvers<undefined>();
    await serve(async (_request, { progress }) => {
      progress('half');
      await seen;
      return 'y';
    });
    for await (const part of job?.progress() ?? []) {
      expect(part.text()).toBe('half');
      sees(undefined);
    }
    expect((await reply).text()).toBe('y');
    await found.catch((error: unknown) => expect(error).toMatchObject(HAD));
  });

  it('goes on if the function that is told of the job throws, which is a warning', async () => {
    const warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    await serve(upper);
    const onStored = (): never => {
      throw new Error('no');
    };
    expect((await client().callDurable('s', 'x', { onStored })).text()).toBe('X');
    const said = "a listener of 'onStored' threw an error: no";
    expect(warnings.mock.calls).toEqual([[said, { code: 'MDP_LISTENER_FAILED' }]]);
    warnings.mockRestore();
  });

  it('goes on over a restart of the broker, and runs once', async () => {
    const seen: string[] = [];
    const asking = client();
    const reply = asking.callDurable('s', 'x', { idempotencyKey: 'k' });
    // It is stored by then, by either of the two.
    await foundBy(asking, 'k');
    await broker.restart();
    await serve((request) => {
      seen.push(request.text());
      return 'y';
    });
    expect((await reply).text()).toBe('y');
    expect(seen).toEqual(['x']);
  });

  it('is not stored again if it was closed while its connection was lost', async () => {
    const relay = await new TcpRelay(Number(new URL(broker.endpoint).port)).listen();
    const asking = client({ endpoints: `tcp://127.0.0.1:${relay.port}` });
    const { promise: stored, resolve: onStored } = Promise.withResolvers<Job>();
    const reply = asking.callDurable('s', 'x', { onStored });
    const { uuid } = await stored;
    relay.set('reset');
    await client().job(uuid).close();
    await serve(upper);
    relay.set('open');
    await expect(reply).rejects.toMatchObject({ ...HAD, details: { uuid } });
  });

  it('finds what another client began', async () => {
    const first = client().callDurable('s', 'x', { idempotencyKey: 'k' });
    const second = client().callDurable('s', 'x', { idempotencyKey: 'k' });
    await serve(upper);
    expect((await first).text()).toBe('X');
    // Whichever is answered first closes it; the other one waits at the same place.
    await second.then(
      (reply) => expect(reply.text()).toBe('X'),
      (error: unknown) => expect(error).toMatchObject(HAD),
    );
  });

  it('says what failed, and leaves it for the operator', async () => {
    await serve(() => {
      throw new ServiceError('card_declined', 'no', { retry: false });
    });
    const asking = client();
    await expect(asking.callDurable('s', 'x', { idempotencyKey: 'k' })).rejects.toMatchObject({
      serviceCode: 'card_declined',
    });
    expect(await foundBy(asking, 'k')).toBe('dead');
  });

  it('ends in time, with the uuid of what stays stored', async () => {
    const asking = client();
    const error: unknown = await asking
      .callDurable('s', 'x', { timeoutMs: 300, idempotencyKey: 'k' })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'ERR_TITANIC_PENDING',
      details: { uuid: expect.stringMatching(/^[0-9A-F]{32}$/) as unknown },
      cause: { code: 'ERR_MDP_TIMEOUT' },
    });
    expect(await foundBy(asking, 'k')).toBe('pending');
  });

  it('has the client’s time to be stored, and says why it was not', async () => {
    // (Where a broker listened, another test may listen now.)
    const asking = client({ endpoints: 'tcp://127.0.0.1:1', timeoutMs: 200 });
    await expect(asking.callDurable('s', 'x')).rejects.toMatchObject({
      code: 'ERR_MDP_UNREACHABLE',
    });
  });

  it('is aborted by its signal, and by the end of the client', async () => {
    const asking = client();
    const abort = new AbortController();
    const aborted = asking.callDurable('s', 'x', { signal: abort.signal });
    const closed = asking.callDurable('s', 'x');
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_MDP_ABORTED' });
    await asking.close();
    await expect(closed).rejects.toMatchObject({ code: 'ERR_MDP_CLOSED' });
  });

  it('passes through interceptors, and not with strategy freelance', async () => {
    await serve(upper);
    const kinds: string[] = [];
    const asking = client({
      interceptors: [
        (request, next) => {
          kinds.push(`${request.kind} ${request.service}`);
          return next(request);
        },
      ],
    });
    expect((await asking.callDurable('s', 'x')).text()).toBe('X');
    expect(kinds).toEqual(['callDurable s']);
    await expect(client({ strategy: 'freelance' }).callDurable('s', 'x')).rejects.toMatchObject({
      code: 'ERR_MDP_USAGE',
    });
  });

  it('keeps parts of a reply together, and progress apart', async () => {
    await serve(async function* (_request, { progress }) {
      progress('half');
      yield 'a';
      return 'b';
    });
    const reply = await client().callDurable('s', 'x');
    expect(reply.frames.map(String)).toEqual(['a', 'b']);
  });
});
