/** 8/MMI and this project's extensions: answers about the broker, as pure functions of its state. */
import { MMI_PREFIX } from '../wire/mdp.js';
import {
  type BrokerStatus,
  type MinimalStatus,
  MMI_BROKER,
  MMI_HELLO,
  MMI_SERVICE,
  MMI_SERVICES,
  MMI_WORKERS,
  readHello,
} from '../wire/mmi.js';
import type { Asker, BrokerHost, InternalRequest, InternalService } from '../broker/ports.js';
import { PagedList, readPageOptions } from './lists.js';

const OK = Buffer.from('200');
const BAD_REQUEST = Buffer.from('400');
const NOT_FOUND = Buffer.from('404');
const UNKNOWN = Buffer.from('501');

const NAMES: readonly string[] = [MMI_SERVICE, MMI_SERVICES, MMI_WORKERS, MMI_BROKER, MMI_HELLO];

/** The `mmi.*` names answered where peers are strangers. */
const MINIMAL: readonly string[] = [MMI_SERVICE, MMI_BROKER, MMI_HELLO];
/** An answer up to this size is always sent. */
const SMALL_BYTES = 4096;

export class Mmi implements InternalService {
  readonly prefix: Buffer = MMI_PREFIX;
  readonly isForAll: boolean = true;
  readonly #brokerStatus: (now: number) => BrokerStatus;
  #serviceList: PagedList | null = null;
  #workerList: PagedList | null = null;
  #now = 0;

  /** @param brokerStatus the content of `mmi.broker`; `now` is monotonic milliseconds */
  constructor(brokerStatus: (now: number) => BrokerStatus) {
    this.#brokerStatus = brokerStatus;
  }

  offers(service: Buffer): boolean {
    return NAMES.includes(service.toString('latin1'));
  }

  request(request: InternalRequest, host: BrokerHost, now: number): void {
    this.#now = now;
    const answer = this.#answer(request, host, now);
    // An answer that its peer would not read is not kept for it (D76).
    const bytes = answer.reduce((sum, frame) => sum + frame.length, 0);
    if (bytes > SMALL_BYTES && bytes > request.asker.outputLeft()) {
      host.refuse(request.id, 'limit', 'earlier answers are unread');
    } else {
      host.answer(request.id, answer);
    }
  }

  #answer(request: InternalRequest, host: BrokerHost, now: number): Buffer[] {
    const { frames, body, asker } = request;
    const argument = frames.view(body);
    const isSingle = frames.count - body === 1;
    const name = request.service.toString('latin1');
    if (asker.isMmiMinimal && !MINIMAL.includes(name)) return [UNKNOWN];
    if (request.headers >= 0) return [BAD_REQUEST]; // D67
    switch (name) {
      case MMI_SERVICE:
        if (!isSingle || argument.length === 0) return [BAD_REQUEST];
        return [host.isServed(argument) ? OK : NOT_FOUND];
      case MMI_SERVICES:
        return this.#list(this.#services(host), null, request, now);
      case MMI_WORKERS:
        return this.#list(this.#workers(host), argument, request, now);
      case MMI_BROKER:
        if (!isSingle) return [BAD_REQUEST];
        return [OK, json(statusFor(asker, this.#brokerStatus(now)))];
      case MMI_HELLO:
        return [isSingle && this.#isHeard(request, host) ? OK : BAD_REQUEST];
      default:
        return [UNKNOWN];
    }
  }

  /**
   * @param service the name in the first frame: lists that service; `null` or empty: lists all. A
   *   service without workers is not found.
   */
  #list(list: PagedList, service: Buffer | null, request: InternalRequest, now: number): Buffer[] {
    const { frames, body, asker } = request;
    const hasOptions = frames.count - body === 2;
    if (frames.count - body > 2) return [BAD_REQUEST];
    const options = readPageOptions(hasOptions ? frames.view(body + 1) : null);
    if (options === null) return [BAD_REQUEST];
    const named = service === null || service.length === 0 ? null : service;
    const shown = list.shownTo(asker, named, now);
    if (named !== null && shown.isEmpty) return [NOT_FOUND];
    const { json: listed, next } = shown.page(options);
    return next === null ? [OK, listed] : [OK, listed, Buffer.from(next)];
  }

  #isHeard({ id, frames, body }: InternalRequest, host: BrokerHost): boolean {
    const hello = readHello(frames.view(body));
    return hello !== null && host.recordHello(id, hello);
  }

  #services(host: BrokerHost): PagedList {
    this.#serviceList ??= new PagedList(
      () => host.counts.services,
      () => host.services(this.#now),
    );
    return this.#serviceList;
  }

  #workers(host: BrokerHost): PagedList {
    this.#workerList ??= new PagedList(
      () => host.counts.workers,
      () => host.workers(this.#now),
    );
    return this.#workerList;
  }
}

function statusFor({ isMmiMinimal }: Asker, status: BrokerStatus): BrokerStatus | MinimalStatus {
  if (!isMmiMinimal) return status;
  const { http: _http, publicUrl: _publicUrl, events: _events, map: _map, ...minimal } = status;
  return minimal;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
