import type { MajordomoError } from '../../core/errors.js';
import { clientRequestHead } from '../../wire/client-side.js';
import { encodeHeaders } from '../../wire/headers.js';
import type { MdpVersion } from '../../wire/mdp.js';
import { type BodyFrames, bodyFrames } from '../body.js';
import { type Decode, type Encode, encoderOf, replyDecoderOf } from '../codec/codec.js';
import { sdkError, wrong } from '../errors.js';
import type { Decoders } from '../message.js';
import type { ClientSettings } from '../options.js';
import { serviceName } from '../option-reader.js';
import type { RequestSettings } from '../request-options.js';
import type { Target } from './call.js';
import { correlation, PROBE_ID } from './correlation.js';

/** Services whose targets are kept. */
const TARGETS_MAX = 256;

/** What requests for each service look like: their heads, and how values become bodies and back. */
export class ClientServices {
  readonly #version: MdpVersion;
  readonly #hasEnvelope: boolean;
  readonly #isOneBroker: boolean;
  readonly #contract: ClientSettings['contract'];
  /** Make bodies and values; `null`: no codec. */
  readonly #encode: Encode | null;
  readonly decode: Decode | null;
  readonly #targets = new Map<string, Target>();

  constructor({ version, envelope, strategy, codec, contract }: ClientSettings) {
    this.#version = version;
    this.#hasEnvelope = envelope;
    this.#isOneBroker = strategy === 'failover';
    this.#contract = contract;
    this.#encode = codec === undefined ? null : encoderOf(codec);
    this.decode = codec === undefined ? null : replyDecoderOf(codec);
  }

  /** The body of a request for a service, without its contract. */
  bodyOf(service: string, body: unknown): BodyFrames {
    if (this.#encode === null || isOfBroker(service)) return bodyFrames(body);
    return this.#encode(body);
  }

  /** The body of a request for a service, by the service's contract if there is one. */
  valueOf(service: string, value: unknown): BodyFrames {
    const contract = this.#contract;
    if (contract === undefined || isOfBroker(service)) return this.bodyOf(service, value);
    return contract.service(service).encodeRequest(value);
  }

  decodersOf(service: string): Decoders {
    const contract = this.#contract;
    if (contract === undefined || isOfBroker(service)) {
      return { decode: this.decode, decodeProgress: this.decode };
    }
    const { decodeReply, decodeProgress } = contract.service(service);
    return { decode: decodeReply, decodeProgress };
  }

  /** @throws ERR_MDP_OPTION, ERR_MDP_USAGE */
  targetOf(service: string, { headers, once, group }: RequestSettings): Target {
    if ((once || group !== undefined) && isOfBroker(service)) {
      throw wrong(once ? 'once' : 'group', 'is not for what the broker answers itself');
    }
    const target = this.#targets.get(service) ?? this.#newTarget(service);
    return headers === undefined ? target : { ...target, headers: encodeHeaders(headers) };
  }

  #checkTarget(service: string): void {
    if (!this.#isOneBroker && isTitanic(service)) throw oneBrokerError();
  }

  #newTarget(service: string): Target {
    const name = serviceName(service);
    this.#checkTarget(service);
    const id = this.#hasEnvelope ? correlation(PROBE_ID, 0) : null;
    const head = clientRequestHead(this.#version, id, name);
    const target = { service, name, head, headers: null, isOfBroker: isOfBroker(service) };
    if (this.#targets.size === TARGETS_MAX) this.#targets.clear();
    this.#targets.set(service, target);
    return target;
  }
}

/** Services that the broker answers itself. */
export function isOfBroker(service: string): boolean {
  return service.startsWith('mmi.') || isTitanic(service);
}

function isTitanic(service: string): boolean {
  return service.startsWith('titanic.');
}

export function oneBrokerError(): MajordomoError {
  const text =
    "a client with strategy 'freelance' has no durable requests and no schedules: use one broker, or pair";
  return sdkError('ERR_MDP_USAGE', text);
}
