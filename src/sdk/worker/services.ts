/** The services of a worker: `service` with one handler, or `services` with a handler each. */
import {
  checkedCodec,
  type Decode,
  type Encode,
  encoderOf,
  requestDecoderOf,
} from '../codec/codec.js';
import { checkedContract } from '../codec/contract.js';
import { wrong } from '../errors.js';
import { mustBe, serviceName } from '../option-reader.js';
import { type ValuesOf, WORKER_OPTIONS } from '../option-tables.js';
import { ConcurrencyLimiter } from './concurrency-limiter.js';
import type { Handler } from './handler.js';
import { type WorkerInterceptor, within } from './worker-interceptors.js';

export interface OfferedService {
  readonly service: string;
  /** The bytes of `service`. */
  readonly name: Buffer;
  readonly handler: Handler;
  /** `null`: no codec. */
  readonly encode: Encode | null;
  readonly decode: Decode | null;
  readonly encodeProgress: Encode | null;
  /** The frame of its contract, which brokers are told; `null`: none. */
  readonly contract: Buffer | null;
  /** What is sent of an error that the handler threw; `null`: the error itself. */
  readonly errorOf: ((error: unknown) => unknown) | null;
  /** Requests at once, as told to brokers. */
  readonly concurrency: number;
  /** Their places, which services may share. */
  readonly limiter: ConcurrencyLimiter;
}

/** Each has a connection to every endpoint. */
const SERVICES_MAX = 1000;

type Given = ValuesOf<typeof WORKER_OPTIONS>;

/** @throws ERR_MDP_OPTION */
export function offeredServices(options: Given, handler: unknown): readonly OfferedService[] {
  const isSeveral = options.services !== undefined;
  if (options.contract !== undefined && !isSeveral) {
    throw wrong('services', 'must be given with contract');
  }
  const handlers = isSeveral
    ? handlersIn(options, handler)
    : [[options.service, checkedHandler(handler, 'handler')] as const];
  const values = valuesOf(options);
  const capacitiesOf = capacities(options, new Set(handlers.map(([service]) => String(service))));
  return handlers.map(([service, handles]) => {
    const name = serviceName(service);
    const text = name.toString('utf8');
    return { service: text, name, ...values(text, handles), ...capacitiesOf(text) };
  });
}

function handlersIn(
  { service, services }: Given,
  handler: unknown,
): (readonly [string, Handler])[] {
  if (service !== undefined) throw wrong('services', 'cannot be combined with service');
  if (handler !== undefined) throw wrong('handler', 'cannot be combined with services');
  const must = `must be an object of 1 to ${SERVICES_MAX} handlers by service`;
  if (typeof services !== 'object' || services === null) throw wrong('services', must);
  const given = Object.entries(services);
  if (given.length === 0 || given.length > SERVICES_MAX) throw wrong('services', must);
  return given.map(([service, each]) => [service, checkedHandler(each, `services['${service}']`)]);
}

function checkedHandler(handler: unknown, option: string): Handler {
  if (typeof handler === 'function') return handler as Handler;
  throw wrong(option, 'must be a function');
}

type Values = Pick<
  OfferedService,
  'handler' | 'encode' | 'decode' | 'encodeProgress' | 'errorOf' | 'contract'
>;

/** How the bodies of each service become values, and its handler with the interceptors around it. */
function valuesOf(options: Given): (service: string, handler: Handler) => Values {
  const interceptors: readonly WorkerInterceptor[] = [...(options.interceptors ?? [])];
  const codec = checkedCodec(options.codec);
  const contract = checkedContract(options.contract);
  if (contract === undefined) {
    const encode = codec === undefined ? null : encoderOf(codec);
    const decode = codec === undefined ? null : requestDecoderOf(codec);
    const both = { encode, decode, encodeProgress: encode, errorOf: null, contract: null };
    return (_service, handler) => ({ handler: within(interceptors, handler), ...both });
  }
  if (codec !== undefined) throw wrong('codec', 'cannot be combined with contract, which has one');
  return (service, handler) => {
    const codec = contract.service(service);
    const { encodeReply, decodeRequest, encodeProgress, errorOf } = codec;
    const checked = within(interceptors, withValue(handler));
    const values = { encode: encodeReply, decode: decodeRequest, encodeProgress, errorOf };
    return { handler: checked, ...values, contract: codec.announced() };
  };
}

/** A wrong request does not reach the handler. */
function withValue(handler: Handler): Handler {
  return (request, context) => {
    // Whatever the handler does with it.
    Reflect.get(request, 'value');
    return handler(request, context);
  };
}

type Capacity = Pick<OfferedService, 'concurrency' | 'limiter'>;

/** Reads the option `concurrency`: one number for all services together, or a number for each. */
function capacities(
  { concurrency, services: several }: Given,
  services: ReadonlySet<string>,
): (service: string) => Capacity {
  if (typeof concurrency === 'number') {
    const shared = { concurrency, limiter: new ConcurrencyLimiter(concurrency) };
    return () => shared;
  }
  const row = WORKER_OPTIONS.concurrency;
  if (several === undefined) throw mustBe('concurrency', row);
  for (const [service, count] of Object.entries(concurrency)) {
    const option = `concurrency['${service}']`;
    if (!services.has(service)) throw wrong(option, 'is for none of the services');
    if (typeof count !== 'number' || !row.isValid(count)) throw mustBe(option, row);
  }
  const counts = new Map(Object.entries(concurrency));
  return (service) => {
    const each = counts.get(service) ?? row.default;
    return { concurrency: each, limiter: new ConcurrencyLimiter(each) };
  };
}
