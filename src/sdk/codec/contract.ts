/** Typed services: what requests and replies are, known to client and worker, and checked at both ends. */
import { messageOf } from '../../core/errors.js';
import type { BodyFrames } from '../body.js';
import { sdkError, wrong } from '../errors.js';
import { ServiceError } from '../service-error.js';
import {
  checkedCodec,
  type Codec,
  type Decode,
  type Encode,
  encoderOf,
  json,
  replyDecoderOf,
  requestDecoderOf,
} from './codec.js';

/** What a validator returns: a value, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  /** What is wrong, for people. */
  readonly message: string;
  /** Where in the value: the keys from the outside in. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A validator with the interface of https://standardschema.dev: of Zod, Valibot, ArkType and others. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** What the library offers to programs like this one. */
  readonly '~standard': {
    /** Of the interface. */
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** It must answer at once: a promise is ERR_MDP_CODEC. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** Only for the compiler. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The validators of one service. What has none is not checked. */
export interface ServiceSchemas {
  /** Checks what the client sends: at the client, and at the worker before the handler runs. */
  readonly request?: StandardSchema;
  /** Checks what the handler returns: at the worker, and at the client. */
  readonly reply?: StandardSchema;
}

/** The types of one service, as client and worker see them. */
export interface ServiceTypes {
  /** What the client calls with. */
  readonly ask: unknown;
  /** What the handler gets: the validator's output. */
  readonly asked: unknown;
  /** What the handler returns. */
  readonly answer: unknown;
  /** What the client gets: the validator's output. */
  readonly answered: unknown;
}

/** A contract without services. */
export type NoServices = Readonly<Record<string, never>>;

type TypesOfPairs<Pairs> = {
  readonly [Name in keyof Pairs]: Pairs[Name] extends readonly [infer Request, infer Reply]
    ? { ask: Request; asked: Request; answer: Reply; answered: Reply }
    : never;
};

type InputOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : unknown;
type OutputOf<Schema> = Schema extends {
  readonly '~standard': { readonly types?: { readonly output: infer Output } | undefined };
}
  ? Output
  : unknown;
type Part<Schemas, Name extends string> =
  Schemas extends Readonly<Record<Name, infer Schema>> ? Schema : undefined;

type TypesOfSchemas<All> = {
  readonly [Name in keyof All]: {
    ask: InputOf<Part<All[Name], 'request'>>;
    asked: OutputOf<Part<All[Name], 'request'>>;
    answer: InputOf<Part<All[Name], 'reply'>>;
    answered: OutputOf<Part<All[Name], 'reply'>>;
  };
};

/**
 * Options of `defineService`.
 *
 *     defineService<{ sum: [number[], number] }>(undefined, { codec: msgpack });
 */
export interface ContractOptions {
  /** How values are sent. Default `json()`. */
  readonly codec?: Codec<never, unknown> | undefined;
}

/** Services with their types, made by `defineService`; for the option `contract` of client and worker. */
export interface Contract<Types = NoServices> {
  /** Only for the compiler. */
  readonly types?: Types;
  /** @throws ServiceError, ERR_MDP_CODEC, ERR_MDP_OPTION if it has no such service */
  readonly service: (name: string) => ServiceCodec;
}

/** How the values of one service are checked and sent. */
export interface ServiceCodec {
  readonly encodeRequest: Encode;
  readonly decodeRequest: Decode;
  readonly encodeReply: Encode;
  readonly decodeReply: Decode;
}

/**
 * Defines services by their types alone, which are not checked when the program runs:
 *
 *     const contract = defineService<{ 'tax.rate': [{ country: string }, { rate: number }] }>();
 *     const client = connect('tcp://127.0.0.1:5555', { contract });
 *     const { rate } = await client.call('tax.rate', { country: 'DE' });
 *
 * @throws ERR_MDP_OPTION
 */
export function defineService<
  Pairs extends { readonly [Name in keyof Pairs]: readonly [unknown, unknown] },
>(services?: undefined, options?: ContractOptions): Contract<TypesOfPairs<Pairs>>;
/**
 * Defines services by validators, which check requests and replies at both ends:
 *
 *     const contract = defineService({
 *       'tax.rate': { request: z.object({ country: z.string() }), reply: z.object({ rate: z.number() }) },
 *     });
 *
 * A wrong request is a `ServiceError` with the code `invalid_argument`, at the client before it is sent, at
 * the worker before the handler runs; a wrong reply is one with `invalid_reply`. `details.issues` says what
 * is wrong. What a validator changes, it changes where the value is received.
 * @throws ERR_MDP_OPTION
 */
export function defineService<All extends Readonly<Record<string, ServiceSchemas>>>(
  services: All,
  options?: ContractOptions,
): Contract<TypesOfSchemas<All>>;
export function defineService(services?: unknown, options?: unknown): Contract<unknown> {
  const codec = codecIn(options) ?? json();
  const checked = services === undefined ? null : checkedServices(services);
  const known = new Map<string, ServiceCodec>();
  return {
    service: (name) => {
      const found = known.get(name);
      if (found !== undefined) return found;
      const schemas = checked === null ? {} : checked.get(name);
      if (schemas === undefined) throw wrong('service', `'${name}' is not in the contract`);
      const made = serviceCodec(name, schemas, codec);
      if (known.size < KNOWN_MAX) known.set(name, made);
      return made;
    },
  };
}

/** @throws ERR_MDP_OPTION */
export function checkedContract(given: unknown): Contract<unknown> | undefined {
  if (given === undefined) return undefined;
  if (typeof given === 'object' && given !== null && 'service' in given) {
    if (typeof given.service === 'function') return given as Contract<unknown>;
  }
  throw wrong('contract', 'must be what defineService returns');
}

/** A contract of types alone does not say how many services there are. */
const KNOWN_MAX = 1000;
/** Issues that an error lists. */
const ISSUES_MAX = 100;
const PARTS = ['request', 'reply'] as const;

function codecIn(options: unknown): Codec | undefined {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null) throw wrong('options', 'must be an object');
  const { codec, ...others } = options as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(others)) throw wrong(name, 'is not an option of defineService');
  return checkedCodec(codec);
}

function checkedServices(services: unknown): ReadonlyMap<string, ServiceSchemas> {
  if (typeof services !== 'object' || services === null) {
    throw wrong(
      'services',
      'must be an object: of each service {request, reply}, which are schemas',
    );
  }
  return new Map(
    Object.entries(services).map(([name, given]: [string, unknown]) => {
      const place = `services['${name}']`;
      if (typeof given !== 'object' || given === null) throw wrong(place, 'must be an object');
      for (const [part, schema] of Object.entries(given) as [string, unknown][]) {
        if (!PARTS.some((one) => one === part)) throw wrong(`${place}.${part}`, 'is not known');
        if (schema !== undefined && !isSchema(schema)) {
          throw wrong(`${place}.${part}`, 'must be a Standard Schema (with ~standard.validate)');
        }
      }
      return [name, given];
    }),
  );
}

function isSchema(schema: unknown): schema is StandardSchema {
  // ArkType's schemas are functions.
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false;
  const standard: unknown = Reflect.get(schema, '~standard');
  return (
    typeof standard === 'object' &&
    standard !== null &&
    typeof Reflect.get(standard, 'validate') === 'function'
  );
}

function serviceCodec(service: string, schemas: ServiceSchemas, codec: Codec): ServiceCodec {
  const encode = encoderOf(codec);
  const sends = (part: (typeof PARTS)[number]): Encode => {
    const schema = schemas[part];
    if (schema === undefined) return encode;
    // The other side gets what was given, and its validator what that becomes.
    return (value): BodyFrames => {
      validated(service, part, schema, value);
      return encode(value);
    };
  };
  const receives = (part: (typeof PARTS)[number], decode: Decode): Decode => {
    const schema = schemas[part];
    if (schema === undefined) return decode;
    return (bytes) => validated(service, part, schema, decode(bytes));
  };
  return {
    encodeRequest: sends('request'),
    decodeRequest: receives('request', requestDecoderOf(codec)),
    encodeReply: sends('reply'),
    decodeReply: receives('reply', replyDecoderOf(codec)),
  };
}

/** The validator's output. @throws ServiceError, ERR_MDP_CODEC */
function validated(
  service: string,
  part: (typeof PARTS)[number],
  schema: StandardSchema,
  value: unknown,
): unknown {
  const result = resultOf(`services['${service}'].${part}`, schema, value);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.slice(0, ISSUES_MAX).map(plainIssue);
  const [first] = issues;
  const more = result.issues.length > 1 ? ` (and ${result.issues.length - 1} more)` : '';
  const where = first === undefined || first.path.length === 0 ? '' : `${first.path.join('.')}: `;
  const text = `the ${part} of '${service}' is wrong: ${where}${first?.message ?? ''}${more}`;
  // A wrong request stays wrong; a wrong reply may be mended by the next version of the worker.
  const isRequest = part === 'request';
  const code = isRequest ? 'invalid_argument' : 'invalid_reply';
  const error = new ServiceError(code, text, { retry: !isRequest, details: { issues } });
  throw Object.assign(error, { service });
}

function resultOf(option: string, schema: StandardSchema, value: unknown): SchemaResult<unknown> {
  let result: unknown;
  try {
    result = schema['~standard'].validate(value);
  } catch (error) {
    throw schemaError(option, `threw an error: ${messageOf(error)}`, error);
  }
  if (typeof result === 'object' && result !== null) {
    if ('then' in result) {
      // Nobody waits for it.
      Promise.resolve(result).catch(() => undefined);
      throw schemaError(option, 'returned a promise: a validator must answer at once');
    }
    if ('issues' in result && isListOfIssues(result.issues)) {
      return result as SchemaResult<unknown>;
    }
    if ('value' in result) return { value: result.value };
  }
  throw schemaError(option, 'returned neither a value nor issues');
}

function isListOfIssues(issues: unknown): boolean {
  return Array.isArray(issues) && issues.every(isIssue);
}

function isIssue(issue: unknown): boolean {
  if (typeof issue !== 'object' || issue === null || !('message' in issue)) return false;
  return !('path' in issue) || issue.path === undefined || Array.isArray(issue.path);
}

function schemaError(option: string, what: string, cause?: unknown): Error {
  return sdkError('ERR_MDP_CODEC', `the validator ${option} ${what}`, {
    cause,
    details: { option },
  });
}

/** An issue as JSON. */
function plainIssue({ message, path = [] }: SchemaIssue): { message: string; path: string[] } {
  const keys = path.map((step) => String(typeof step === 'object' ? step.key : step));
  return { message, path: keys };
}
