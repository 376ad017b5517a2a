/** 8/MMI and this project's extensions: answers about the broker, as pure functions of its state. */
import { MMI_PREFIX } from '../wire/mdp.js';
import {
  type BrokerStatus,
  MMI_BROKER,
  MMI_HELLO,
  MMI_SERVICE,
  MMI_SERVICES,
  MMI_WORKERS,
} from '../wire/mmi.js';
import type { BrokerHost, InternalRequest, InternalService } from '../broker/ports.js';

const OK = Buffer.from('200');
const BAD_REQUEST = Buffer.from('400');
const NOT_FOUND = Buffer.from('404');
const UNKNOWN = Buffer.from('501');

const NAMES: readonly string[] = [MMI_SERVICE, MMI_SERVICES, MMI_WORKERS, MMI_BROKER, MMI_HELLO];

/** `mmi.hello` options are for later versions: any JSON object is understood, up to this size. */
const HELLO_BYTES_MAX = 4096;

export class Mmi implements InternalService {
  readonly prefix: Buffer = MMI_PREFIX;
  readonly isForAll: boolean = true;
  readonly #brokerStatus: (now: number) => BrokerStatus;

  /** @param brokerStatus what `mmi.broker` tells; `now` is monotonic milliseconds */
  constructor(brokerStatus: (now: number) => BrokerStatus) {
    this.#brokerStatus = brokerStatus;
  }

  offers(service: Buffer): boolean {
    return NAMES.includes(service.toString('latin1'));
  }

  request(request: InternalRequest, host: BrokerHost, now: number): void {
    host.answer(request.id, this.#answer(request, host, now));
  }

  #answer(request: InternalRequest, host: BrokerHost, now: number): Buffer[] {
    const { frames, body } = request;
    const argument = frames.view(body);
    const isSingle = frames.count - body === 1;
    switch (request.service.toString('latin1')) {
      case MMI_SERVICE:
        if (!isSingle || argument.length === 0) return [BAD_REQUEST];
        return [host.isServed(argument) ? OK : NOT_FOUND];
      case MMI_SERVICES:
        return isSingle ? [OK, json(host.services())] : [BAD_REQUEST];
      case MMI_WORKERS:
        return isSingle ? workers(argument, host, now) : [BAD_REQUEST];
      case MMI_BROKER:
        return isSingle ? [OK, json(this.#brokerStatus(now))] : [BAD_REQUEST];
      case MMI_HELLO:
        if (!isSingle || !isHello(argument)) return [BAD_REQUEST];
        return [host.tellsRefusals(request.id) ? OK : BAD_REQUEST];
      default:
        return [UNKNOWN];
    }
  }
}

/** Of one service if it is named, of all if not. A service without workers is not found. */
function workers(argument: Buffer, host: BrokerHost, now: number): Buffer[] {
  if (argument.length === 0) return [OK, json(host.workers(null, now))];
  const found = host.workers(argument, now);
  return found.length === 0 ? [NOT_FOUND] : [OK, json(found)];
}

/** Empty, or a JSON object. */
function isHello(argument: Buffer): boolean {
  if (argument.length === 0) return true;
  if (argument.length > HELLO_BYTES_MAX) return false;
  try {
    const options: unknown = JSON.parse(argument.toString('utf8'));
    return typeof options === 'object' && options !== null && !Array.isArray(options);
  } catch {
    return false;
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
