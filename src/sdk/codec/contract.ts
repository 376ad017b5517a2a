/** Typed services: what requests and replies are, known to client and worker, and checked at both ends. */
import { messageOf } from '../../core/errors.js';
import { CONTRACT_TEXT_MAX } from '../../wire/contract.js';
import type { BodyFrames } from '../body.js';
import { sdkError, wrong } from '../errors.js';
import { readOptions } from '../option-reader.js';
import { CONTRACT_OPTIONS, type TableOf } from '../option-tables.js';
import { isServiceError, ServiceError, type ServiceErrorOptions } from '../service-error.js';
import { announcement, type Described } from './announcement.js';
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
import type {
  ContractOptions,
  SchemaIssue,
  SchemaResult,
  ServiceSchemas,
  StandardSchema,
} from './schema.js';

/** What a service takes and sends, as types alone. */
export interface ServiceShape {
  /** What the client sends. */
  readonly input?: unknown;
  /** What the handler returns, or yields as a part of that. */
  readonly output?: unknown;
  /** What the handler tells with `context.progress`. */
  readonly progress?: unknown;
  /** The `details` of the errors that the handler throws, by code. */
  readonly errors?: unknown;
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
  /** What the handler tells of its progress. */
  readonly tell: unknown;
  /** What the client gets of that: the validator's output. */
  readonly told: unknown;
  /** The `details` of the errors, by code. */
  readonly errors: object;
}

/** A contract without services. */
export type NoServices = Readonly<Record<string, never>>;

type Part<All, Name extends string> =
  All extends Readonly<Partial<Record<Name, infer One>>> ? Exclude<One, undefined> : unknown;

type TypesOfShapes<All> = {
  readonly [Name in keyof All]: {
    ask: Part<All[Name], 'input'>;
    asked: Part<All[Name], 'input'>;
    answer: Part<All[Name], 'output'>;
    answered: Part<All[Name], 'output'>;
    tell: Part<All[Name], 'progress'>;
    told: Part<All[Name], 'progress'>;
    errors: Part<All[Name], 'errors'> extends infer Errors extends object ? Errors : AnyErrors;
  };
};

/** The errors of a service that does not say which it has. */
type AnyErrors = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

type InputOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : unknown;
type OutputOf<Schema> = Schema extends {
  readonly '~standard': { readonly types?: { readonly output: infer Output } | undefined };
}
  ? Output
  : unknown;

type TypesOfSchemas<All> = {
  readonly [Name in keyof All]: {
    ask: InputOf<Part<All[Name], 'input'>>;
    asked: OutputOf<Part<All[Name], 'input'>>;
    answer: InputOf<Part<All[Name], 'output'>>;
    answered: OutputOf<Part<All[Name], 'output'>>;
    tell: InputOf<Part<All[Name], 'progress'>>;
    told: OutputOf<Part<All[Name], 'progress'>>;
    errors: Part<All[Name], 'errors'> extends infer Errors extends object
      ? { readonly [Code in keyof Errors]: OutputOf<Errors[Code]> }
      : AnyErrors;
  };
};

type ErrorsOf<Type> = Type extends ServiceTypes ? Type['errors'] : never;
type DetailsOf<Type, Code> = Code extends keyof ErrorsOf<Type> ? ErrorsOf<Type>[Code] : never;

/** Services with their types, made by `defineService`; for the option `contract` of client and worker. */
export interface Contract<Types = NoServices> {
  /** The types of the services, only for the compiler. */
  readonly types?: Types;
  /** @throws ERR_MDP_OPTION if it has no such service */
  readonly service: (name: string) => ServiceCodec;
  /**
   * Makes an error of a service, for its handler to throw:
   *
   *     throw contract.error('pay', 'card_declined', 'The card was declined', { details: { limit: 100 } });
   *
   * @throws ServiceError `invalid_error` if the validator of its details refuses them
   */
  error<Name extends keyof Types & string, Code extends keyof ErrorsOf<Types[Name]> & string>(
    service: Name,
    code: Code,
    message: string,
    options: Omit<ServiceErrorOptions, 'details'> & {
      readonly details: DetailsOf<Types[Name], Code>;
    },
  ): ServiceError;
  /**
   * True for an error of a service with this code, whose `details` then have their type:
   *
   *     if (contract.isError('pay', error, 'card_declined')) console.log(error.details.limit);
   */
  isError<Name extends keyof Types & string, Code extends keyof ErrorsOf<Types[Name]> & string>(
    service: Name,
    error: unknown,
    code: Code,
  ): error is ServiceError & {
    readonly serviceCode: Code;
    readonly details: DetailsOf<Types[Name], Code>;
  };
}

/** How the values of one service are checked and sent. */
interface ServiceCodec {
  readonly encodeRequest: Encode;
  readonly decodeRequest: Decode;
  readonly encodeReply: Encode;
  readonly decodeReply: Decode;
  readonly encodeProgress: Encode;
  readonly decodeProgress: Decode;
  /** What a worker announces: JSON (docs/protocol.md, mmi.contract); `null`: nothing. @throws ERR_MDP_OPTION */
  readonly announced: () => Buffer | null;
  /** What is sent of an error that the handler threw. */
  readonly errorOf: (error: unknown) => unknown;
}

/**
 * Defines services by their types alone, which are not checked when the program runs:
 *
 *     const contract = defineService<{ 'tax.rate': { input: { country: string }; output: { rate: number } } }>();
 *     const client = connect('tcp://127.0.0.1:5555', { contract });
 *     const { rate } = await client.call('tax.rate', { country: 'DE' });
 *
 * @throws ERR_MDP_OPTION
 */
export function defineService<All extends { readonly [Name in keyof All]: ServiceShape }>(
  services?: undefined,
  options?: ContractOptions,
): Contract<TypesOfShapes<All>>;
/**
 * Defines services by validators, which check what is sent at both ends:
 *
 *     const contract = defineService({
 *       'tax.rate': { input: z.object({ country: z.string() }), output: z.object({ rate: z.number() }) },
 *     });
 *
 * A wrong input is a `ServiceError` with the code `invalid_argument`, at the client before it is sent, at
 * the worker before the handler runs; a wrong output or progress is one with `invalid_reply`, a wrong error one with
 * `invalid_error`. `details.issues` says what is wrong. What a validator changes, it changes where the value is
 * received.
 * @throws ERR_MDP_OPTION
 */
export function defineService<All extends Readonly<Record<string, ServiceSchemas>>>(
  services: All,
  options?: ContractOptions,
): Contract<TypesOfSchemas<All>>;
export function defineService(services?: unknown, options?: unknown): unknown {
  const { codec, ...described } = settingsIn(options);
  const checked = services === undefined ? null : checkedServices(services);
  const known = new Map<string, ServiceCodec>();
  const codecOf = (name: string): ServiceCodec => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const schemas = checked === null ? {} : checked.get(name);
    if (schemas === undefined) throw wrong('service', `'${name}' is not in the contract`);
    const made = serviceCodec(name, schemas, codec, described);
    if (known.size < KNOWN_MAX) known.set(name, made);
    return made;
  };
  // What the caller's own function throws is told at once.
  if (described.jsonSchema !== undefined) {
    for (const name of checked?.keys() ?? []) codecOf(name).announced();
  }
  return {
    service: codecOf,
    error: (name: string, code: string, message: string, given: ServiceErrorOptions) => {
      const error = codecOf(name).errorOf(new ServiceError(code, message, given)) as ServiceError;
      if (error.serviceCode === code) return error;
      throw error;
    },
    isError: (name: string, error: unknown, code: string): error is never =>
      isServiceError(error) && error.service === name && error.serviceCode === code,
  };
}

/**
 * `defineService` for one service:
 *
 *     const resize = service('resize', { input: z.instanceof(…), output: z.object({ bytes: z.number() }) });
 *     const client = connect('tcp://127.0.0.1:5555', { contract: resize });
 *
 * @throws ERR_MDP_OPTION
 */
export function service<const Name extends string, const Schemas extends ServiceSchemas>(
  name: Name,
  schemas: Schemas,
  options?: ContractOptions,
): Contract<TypesOfSchemas<Readonly<Record<Name, Schemas>>>> {
  return defineService({ [name]: schemas } as Record<Name, Schemas>, options);
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
/** Each with the code of the error that a wrong value becomes. */
const PARTS = {
  input: 'invalid_argument',
  output: 'invalid_reply',
  progress: 'invalid_reply',
} as const;
type CheckedPart = keyof typeof PARTS;
const INVALID_ERROR = 'invalid_error';
/** Errors of the SDK itself, which no contract names. */
const OWN_CODES: ReadonlySet<string> = new Set([
  ...Object.values(PARTS),
  INVALID_ERROR,
  'too-large',
]);

interface ContractSettings extends Described {
  readonly codec: Codec;
}

function settingsIn(given: unknown): ContractSettings {
  const table = CONTRACT_OPTIONS satisfies TableOf<ContractOptions>;
  const { codec, version, jsonSchema } = readOptions('defineService', table, given);
  const checked = checkedCodec(codec) ?? json();
  return { codec: checked, version, jsonSchema, contentType: checked.contentType };
}

function checkText(option: string, text: unknown, most: number): void {
  if (text === undefined || (typeof text === 'string' && text.length <= most)) return;
  throw wrong(option, `must be a string of at most ${most} characters`);
}

function checkedServices(services: unknown): ReadonlyMap<string, ServiceSchemas> {
  if (typeof services !== 'object' || services === null) {
    throw wrong(
      'services',
      'must be an object: of each service {input, output, progress, errors}, which are schemas',
    );
  }
  return new Map(
    Object.entries(services).map(([name, given]: [string, unknown]) => {
      const place = `services['${name}']`;
      const { errors, description, ...parts } = objectAt(place, given);
      checkText(`${place}.description`, description, CONTRACT_TEXT_MAX);
      for (const part of Object.keys(parts)) {
        if (!Object.hasOwn(PARTS, part)) throw wrong(`${place}.${part}`, 'is not known');
      }
      checkSchemas(place, parts);
      if (errors !== undefined) {
        checkSchemas(`${place}.errors`, objectAt(`${place}.errors`, errors));
      }
      return [name, given as ServiceSchemas];
    }),
  );
}

function objectAt(place: string, given: unknown): Readonly<Record<string, unknown>> {
  if (typeof given === 'object' && given !== null) return given as Record<string, unknown>;
  throw wrong(place, 'must be an object');
}

function checkSchemas(place: string, schemas: Readonly<Record<string, unknown>>): void {
  for (const [name, schema] of Object.entries(schemas)) {
    if (schema === undefined || isSchema(schema)) continue;
    throw wrong(`${place}.${name}`, 'must be a Standard Schema (with ~standard.validate)');
  }
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

function serviceCodec(
  service: string,
  schemas: ServiceSchemas,
  codec: Codec,
  described: Described,
): ServiceCodec {
  const encode = encoderOf(codec);
  const sends = (part: CheckedPart): Encode => {
    const schema = schemas[part];
    if (schema === undefined) return encode;
    // The other side gets what was given, and its validator what that becomes.
    return (value): BodyFrames => {
      validated(service, part, schema, value);
      return encode(value);
    };
  };
  const receives = (part: CheckedPart, decode: Decode): Decode => {
    const schema = schemas[part];
    if (schema === undefined) return decode;
    return (bytes) => validated(service, part, schema, decode(bytes));
  };
  return {
    encodeRequest: sends('input'),
    decodeRequest: receives('input', requestDecoderOf(codec)),
    encodeReply: sends('output'),
    decodeReply: receives('output', replyDecoderOf(codec)),
    encodeProgress: sends('progress'),
    decodeProgress: receives('progress', replyDecoderOf(codec)),
    announced: () => announcement(service, schemas, described),
    errorOf: (error) => declaredError(service, schemas.errors, error),
  };
}

/** The validator's output. @throws ServiceError, ERR_MDP_CODEC */
function validated(
  service: string,
  part: CheckedPart,
  schema: StandardSchema,
  value: unknown,
): unknown {
  const result = resultOf(`services['${service}'].${part}`, schema, value);
  if (result.issues === undefined) return result.value;
  // A wrong input stays wrong; a wrong output may be mended by the next version of the worker.
  const options = { retry: part !== 'input' };
  throw issuesError(PARTS[part], service, `the ${part} of '${service}'`, result.issues, options);
}

function issuesError(
  code: string,
  service: string,
  what: string,
  all: readonly SchemaIssue[],
  options: ServiceErrorOptions,
): ServiceError {
  const issues = all.slice(0, ISSUES_MAX).map(plainIssue);
  const [first] = issues;
  const more = all.length > 1 ? ` (and ${all.length - 1} more)` : '';
  const where = first === undefined || first.path.length === 0 ? '' : `${first.path.join('.')}: `;
  const text = `${what} is wrong: ${where}${first?.message ?? ''}${more}`;
  return Object.assign(new ServiceError(code, text, { ...options, details: { issues } }), {
    service,
  });
}

/** The error itself, if its service declares it with such details; otherwise what is wrong with it. */
function declaredError(service: string, errors: ServiceSchemas['errors'], error: unknown): unknown {
  if (errors === undefined || !isServiceError(error)) return error;
  const { serviceCode: code, message, retry, details } = error;
  if (OWN_CODES.has(code)) return error;
  const schema = Object.hasOwn(errors, code) ? errors[code] : undefined;
  if (schema === undefined) {
    const text = `'${service}' does not declare the error '${code}': ${message}`;
    return new ServiceError(INVALID_ERROR, text, { retry, cause: error });
  }
  const { issues } = resultOf(`services['${service}'].errors['${code}']`, schema, details);
  if (issues === undefined) return error;
  const what = `the error '${code}' of '${service}'`;
  return issuesError(INVALID_ERROR, service, what, issues, { retry, cause: error });
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
