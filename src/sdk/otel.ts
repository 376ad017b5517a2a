/**
 * `majordomo-sdk/otel`: traces with OpenTelemetry. Interceptors that make a span for each request and for each
 * handler, and carry the trace context (W3C Trace Context) in the headers of requests, also of stored ones.
 */
import {
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

import { codeOf } from '../core/errors.js';
import { headersFault } from '../wire/headers.js';
import { MMI_BROKER } from '../wire/mmi.js';
import type { ClientInterceptor, Outcome, OutgoingRequest } from './client/client-interceptors.js';
import type { Request } from './message.js';
import { isMajordomoError } from './service-error.js';

const NAME = 'majordomo-sdk';

/**
 * Makes a span for each request, stream, `enqueue`, `callDurable` and `schedule`, as the messaging conventions of OpenTelemetry
 * name them. A broker without headers gets the request without the trace context.
 *
 * The requests that a schedule stores do not carry the trace context: each begins a trace of its own, since
 * they may be stored for years, and one trace would have them all.
 *
 *     const client = connect('tcp://127.0.0.1:5555', { interceptors: [clientTracing()] });
 */
export function clientTracing(): ClientInterceptor {
  return async (request, next) => {
    const { kind, service, name } = request;
    const operation = kind === 'stream' || kind === 'callDurable' ? 'request' : kind;
    const options = {
      // Of a schedule CLIENT, too: no consumer continues its trace.
      kind: kind === 'enqueue' ? SpanKind.PRODUCER : SpanKind.CLIENT,
      attributes: {
        ...attributes(operation, 'send', service),
        ...(name === undefined ? {} : { 'majordomo.schedule.name': name }),
      },
    };
    return await trace.getTracer(NAME).startActiveSpan(`${operation} ${service}`, options, (span) =>
      during(span, async () => {
        const outcome = kind === 'schedule' ? await next(request) : await sent(request, next);
        if (outcome !== null && 'uuid' in outcome) {
          span.setAttribute('messaging.message.id', outcome.uuid);
        }
        return outcome;
      }),
    );
  };
}

/**
 * Makes a span for each handler, a child of the client's span, whose context the request's headers carry.
 *
 *     new Worker({ service: 'echo', interceptors: [workerTracing()] }, handler);
 */
export function workerTracing(): <Answer>(
  request: Request<unknown>,
  next: () => Promise<Answer>,
) => Promise<Answer> {
  return async (request, next) => {
    const { service, headers } = request;
    const options = {
      kind: SpanKind.CONSUMER,
      attributes: attributes('process', 'process', service),
    };
    const parent = propagation.extract(context.active(), headers);
    return await trace
      .getTracer(NAME)
      .startActiveSpan(`process ${service}`, options, parent, (span) => during(span, next));
  };
}

function attributes(operation: string, type: string, service: string): Record<string, string> {
  return {
    'messaging.system': 'majordomo',
    'messaging.operation.name': operation,
    'messaging.operation.type': type,
    'messaging.destination.name': service,
  };
}

/** Ends the span with what `run` does. */
async function during<Result>(span: Span, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    span.setAttribute('error.type', typeOf(error));
    span.recordException(error as Error);
    span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
    throw error;
  } finally {
    span.end();
  }
}

/** The service's code of a failure, or the code of another error. */
function typeOf(error: unknown): string {
  if (isMajordomoError(error, 'ERR_SERVICE_FAILED')) return error.serviceCode;
  return codeOf(error) ?? 'Error';
}

async function sent(
  request: OutgoingRequest,
  next: (request: OutgoingRequest) => Promise<Outcome>,
): Promise<Outcome> {
  const own = request.options.headers;
  const carried: Record<string, string> = {};
  propagation.inject(context.active(), carried);
  const headers = { ...carried, ...own };
  if (headersFault(headers) !== null) return await next(request);
  try {
    return await next({ ...request, options: { ...request.options, headers } });
  } catch (error) {
    if (own !== undefined || !isOfHeaders(request, error)) throw error;
    return await next(request);
  }
}

function isStored(kind: OutgoingRequest['kind']): boolean {
  return kind === 'enqueue' || kind === 'callDurable';
}

/** Whether nothing was sent, because the broker, or the client's protocol, knows no headers. */
function isOfHeaders({ kind }: OutgoingRequest, error: unknown): boolean {
  if (!isMajordomoError(error)) return false;
  const { code, details } = error;
  if (code === 'ERR_MDP_OPTION') return details['option'] === 'headers';
  // A broker without 8/MMI may still store requests; it was only asked what it supports.
  if (code === 'ERR_MDP_TIMEOUT') return isStored(kind) && details['service'] === MMI_BROKER;
  return code === 'ERR_MDP_UNSUPPORTED' || code === 'ERR_TITANIC_UNSUPPORTED';
}
