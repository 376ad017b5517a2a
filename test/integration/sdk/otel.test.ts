import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { Router } from 'zeromq';

import { Client, type Headers, ServiceError } from '../../../src/sdk/client.js';
import { clientTracing, workerTracing } from '../../../src/sdk/otel.js';
import { Worker } from '../../../src/sdk/worker.js';
import { FakeClock, startTestBroker } from '../../../src/testing/testing.js';
import { until } from '../../support/until.js';
import { GuideBroker } from './guide-broker.js';

const HOUR_MS = 3_600_000;
const exporter = new InMemorySpanExporter();
const closing: { close: () => Promise<void> }[] = [];

/** Closed after the test. */
function opened<Closable extends { close: () => Promise<void> }>(what: Closable): Closable {
  closing.push(what);
  return what;
}

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const spanProcessors = [new SimpleSpanProcessor({ exporter })];
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors }));
});

afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
  exporter.reset();
});

afterAll(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

/** The spans by name. */
function spans(): ReadonlyMap<string, ReadableSpan> {
  return new Map(exporter.getFinishedSpans().map((span) => [span.name, span]));
}

function traceOf(span: ReadableSpan | undefined): string | undefined {
  return span?.spanContext().traceId;
}

describe('tracing', () => {
  it('makes one trace of a request: the client, and the handler and what it calls', async () => {
    const broker = opened(await startTestBroker());
    const endpoints = broker.endpoint;
    const inner = opened(
      new Worker(
        { endpoints, service: 'inner', interceptors: [workerTracing()] },
        ({ frames }) => frames,
      ),
    );
    const client = opened(new Client({ endpoints, interceptors: [clientTracing()] }));
    const outer = opened(
      new Worker(
        { endpoints, service: 'outer', interceptors: [workerTracing()] },
        async ({ text }) => (await client.request('inner', 'x')).text() + typeof text,
      ),
    );
    await Promise.all([inner.ready, outer.ready]);
    await client.request('outer', 'x');

    const found = spans();
    const request = found.get('request outer');
    const process = found.get('process outer');
    expect(found.size).toBe(4);
    expect(new Set([...found.values()].map(traceOf)).size).toBe(1);
    expect(process?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
    expect(found.get('request inner')?.parentSpanContext?.spanId).toBe(
      process?.spanContext().spanId,
    );
    expect(request).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: {
        'messaging.system': 'majordomo',
        'messaging.operation.name': 'request',
        'messaging.operation.type': 'send',
        'messaging.destination.name': 'outer',
      },
    });
    expect(process).toMatchObject({
      kind: SpanKind.CONSUMER,
      attributes: { 'messaging.operation.type': 'process' },
    });
  });

  it('continues the trace of a stored request hours later', async () => {
    const clock = new FakeClock();
    const broker = opened(await startTestBroker({ clock }));
    const endpoints = broker.endpoint;
    const client = opened(new Client({ endpoints, interceptors: [clientTracing()] }));
    const job = await client.enqueue('s', 'x', { delayMs: 3 * HOUR_MS });
    await broker.restart();
    const worker = opened(
      new Worker(
        { endpoints, service: 's', interceptors: [workerTracing()] },
        ({ frames }) => frames,
      ),
    );
    await worker.ready;
    await clock.advance(3 * HOUR_MS);
    await job.result();
    const found = spans();
    const enqueued = found.get('enqueue s');
    expect(enqueued).toMatchObject({
      kind: SpanKind.PRODUCER,
      attributes: { 'messaging.message.id': job.uuid },
    });
    expect(found.get('process s')?.parentSpanContext?.spanId).toBe(enqueued?.spanContext().spanId);
  });

  it('makes a span of a schedule, whose requests begin traces of their own', async () => {
    const clock = new FakeClock();
    const broker = opened(await startTestBroker({ clock }));
    const endpoints = broker.endpoint;
    const client = opened(new Client({ endpoints, interceptors: [clientTracing()] }));
    const seen: Headers[] = [];
    const worker = opened(
      new Worker(
        { endpoints, service: 's', interceptors: [workerTracing()] },
        ({ frames, headers }) => {
          seen.push(headers);
          return frames;
        },
      ),
    );
    await worker.ready;
    await client.schedule('hourly', 's', 'x', { cron: '@hourly', headers: { tenant: 'acme' } });
    await clock.advance(HOUR_MS);
    await until(() => spans().has('process s'), 'a request of the schedule');
    const found = spans();
    const scheduled = found.get('schedule s');
    expect(scheduled).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: {
        'messaging.operation.name': 'schedule',
        'messaging.operation.type': 'send',
        'messaging.destination.name': 's',
        'majordomo.schedule.name': 'hourly',
      },
    });
    expect(seen).toEqual([{ tenant: 'acme' }]);
    expect(found.get('process s')?.parentSpanContext).toBeUndefined();
    expect(traceOf(found.get('process s'))).not.toBe(traceOf(scheduled));
  });

  it('marks both spans when the handler fails', async () => {
    const broker = opened(await startTestBroker());
    const endpoints = broker.endpoint;
    const client = opened(new Client({ endpoints, interceptors: [clientTracing()] }));
    const worker = opened(
      new Worker({ endpoints, service: 's', interceptors: [workerTracing()] }, () => {
        throw new ServiceError('wrong', 'no');
      }),
    );
    worker.on('failed', () => undefined);
    await worker.ready;
    await expect(client.request('s', 'x')).rejects.toMatchObject({ serviceCode: 'wrong' });
    for (const span of spans().values()) {
      expect(span.status.code).toBe(SpanStatusCode.ERROR);
      expect(span.attributes['error.type']).toBe('wrong');
    }
    expect(spans().size).toBe(2);
  });

  it('sends a request without the context to a broker without headers', async () => {
    const guide = await GuideBroker.start();
    const endpoints = guide.endpoint;
    const worker = opened(
      new Worker(
        { endpoints, service: 'echo', heartbeatIntervalMs: 1000, interceptors: [workerTracing()] },
        ({ frames }) => frames,
      ),
    );
    void worker.run();
    const client = opened(
      new Client({
        endpoints,
        envelope: false,
        interceptors: [clientTracing()],
      }),
    );
    expect((await client.request('echo', 'x')).text()).toBe('x');
    expect([...spans().keys()].sort()).toEqual(['process echo', 'request echo']);
    guide.stop();
  });

  /** A broker that answers `mmi.broker` with these facts, or not at all, and every request itself. */
  async function plainBroker(facts: string | null, asked: string[] = []): Promise<Router> {
    const router = new Router({ linger: 0 });
    await router.bind('tcp://127.0.0.1:*');
    void (async () => {
      for await (const [peer, id, , version, , service, body] of router) {
        const isFacts = String(service) === 'mmi.broker';
        if (service === undefined || id?.length === 0 || String(service) === 'mmi.hello') continue;
        asked.push(String(service));
        if (isFacts && facts === null) continue;
        const stored = ['200', '0190A0B0C0D07000800000000000ABCD'];
        const isStored = String(service) === 'titanic.request';
        const answer = isFacts ? ['200', facts ?? ''] : isStored ? stored : [body ?? ''];
        await router.send([peer ?? '', id ?? '', '', version ?? '', '\x03', service, ...answer]);
      }
    })().catch(() => undefined);
    opened({
      close: () => {
        router.close();
        return Promise.resolve();
      },
    });
    return router;
  }

  it('begins a stream without the context at a broker that says it has no headers', async () => {
    const { lastEndpoint } = await plainBroker('{"extensions":[]}');
    const options = { endpoints: lastEndpoint ?? '', interceptors: [clientTracing()] };
    const client = opened(new Client(options));
    const texts: string[] = [];
    for await (const part of client.stream('echo', 'x')) texts.push(part.text());
    expect(texts).toEqual(['x']);
    expect(spans().get('request echo')?.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('stores a request without the context at a broker that does not say what it has', async () => {
    const asked: string[] = [];
    const { lastEndpoint } = await plainBroker(null, asked);
    const settings = { timeoutMs: 500 };
    const client = opened(
      new Client({ endpoints: lastEndpoint ?? '', interceptors: [clientTracing()], ...settings }),
    );
    const { uuid } = await client.enqueue('echo', 'x');
    expect(uuid).toBe('0190A0B0C0D07000800000000000ABCD');
    await client.enqueue('echo', 'x');
    // The connection begins with a question, and only one was asked and waited for besides.
    const question = 'mmi.broker';
    expect(asked).toEqual([question, question, 'titanic.request', 'titanic.request']);
  });
});
