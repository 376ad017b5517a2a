/** Codecs: bodies as values. Without one, bodies are text and bytes. */
import { messageOf } from '../../core/errors.js';
import { type BodyFrames, bodyFrames, checkAwaited } from '../body.js';
import { sdkError, wrong } from '../errors.js';
import { ServiceError } from '../service-error.js';

/**
 * Turns values into bodies and back. Client and worker of a service need the same one.
 *
 *     import { decode, encode } from '@msgpack/msgpack';
 *     const msgpack: Codec = { contentType: 'application/msgpack', encode, decode };
 *
 * @typeParam In what is sent
 * @typeParam Out what is received
 */
export interface Codec<In = unknown, Out = In> {
  /** Names the format in errors, for instance `application/json`. */
  readonly contentType: string;
  /** Returns the body, which is sent as one frame. What it throws becomes ERR_MDP_CODEC; nothing is sent. */
  readonly encode: (value: In) => string | Uint8Array;
  /**
   * Reads a body, all of whose frames are joined. If it throws, a client gets ERR_MDP_CODEC, and a worker
   * answers `invalid_argument`.
   */
  readonly decode: (bytes: Buffer) => Out;
}

/**
 * Bodies that are JSON. Its types are not checked when the program runs (see `defineService`).
 *
 *     const client = connect('tcp://127.0.0.1:5555', { codec: json<Sum>() });
 *     const { value } = await client.request('sum', [1, 2, 3]);
 *
 * @typeParam Value what you expect to receive
 * @typeParam Sent what may be sent
 */
export function json<Value = unknown, Sent = unknown>(): Codec<Sent, Value> {
  return JSON_CODEC as Codec<Sent, Value>;
}

const JSON_CODEC: Codec = {
  contentType: 'application/json',
  encode: (value) => {
    const text: unknown = JSON.stringify(value);
    if (typeof text === 'string') return text;
    throw new TypeError(`${typeof value} is not a JSON value`);
  },
  decode: (bytes) => JSON.parse(bytes.toString('utf8')) as unknown,
};

/** Makes the frames of a body. @throws ERR_MDP_CODEC, ERR_MDP_BODY */
export type Encode = (value: unknown) => BodyFrames;
/** Reads the joined frames of a body. */
export type Decode = (bytes: Buffer) => unknown;

/** @throws ERR_MDP_OPTION */
export function checkedCodec(given: unknown, option = 'codec'): Codec | undefined {
  if (given === undefined) return undefined;
  const { encode, decode, contentType } = (given ?? {}) as Partial<Record<keyof Codec, unknown>>;
  if (typeof encode === 'function' && typeof decode === 'function') {
    if (typeof contentType === 'string') return given as Codec;
    throw wrong(`${option}.contentType`, 'must be a string');
  }
  throw wrong(option, 'must have the functions encode and decode, as json() has');
}

export function encoderOf(codec: Codec): Encode {
  return (value) => {
    checkAwaited(value);
    let body: unknown;
    try {
      body = codec.encode(value);
    } catch (error) {
      throw codecError(codec, 'cannot encode the value', error);
    }
    if (typeof body === 'string' || ArrayBuffer.isView(body)) return bodyFrames(body);
    throw codecError(codec, `encode returned ${kindOf(body)}, not a string or bytes`);
  };
}

/** A client's: what it cannot read is an error of the codec. @throws ERR_MDP_CODEC */
export function replyDecoderOf(codec: Codec): Decode {
  return (bytes) => {
    try {
      return codec.decode(bytes);
    } catch (error) {
      throw codecError(codec, 'cannot decode the body', error);
    }
  };
}

/** A worker's: what it cannot read is an error of the client. @throws ServiceError invalid_argument */
export function requestDecoderOf(codec: Codec): Decode {
  return (bytes) => {
    try {
      return codec.decode(bytes);
    } catch (error) {
      const reason = messageOf(error);
      throw new ServiceError(
        'invalid_argument',
        `the body is not ${codec.contentType}: ${reason}`,
        {
          retry: false,
          details: { option: 'codec', contentType: codec.contentType },
          cause: error,
        },
      );
    }
  };
}

function codecError({ contentType }: Codec, what: string, cause?: unknown): Error {
  const why = cause === undefined ? '' : `: ${messageOf(cause)}`;
  const details = { option: 'codec', contentType };
  return sdkError('ERR_MDP_CODEC', `codec ${contentType}: ${what}${why}`, { cause, details });
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
