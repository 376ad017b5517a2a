/** 8/MMI and this project's extensions: answers about the broker, as pure functions of its state. */
import { MMI_PREFIX, SERVICE_NAME_BYTES_MAX } from '../wire/mdp.js';
import {
  CANCEL_ID_BYTES_MAX,
  CANCEL_IDS_MAX,
  type AllBrokersStatus,
  MMI_BROKER,
  MMI_CANCEL,
  MMI_CONTRACT,
  MMI_FLEET,
  MMI_HELLO,
  MMI_RESUME,
  MMI_SERVICE,
  MMI_SERVICES,
  MMI_WHY,
  MMI_WORKERS,
  readHello,
} from '../wire/mmi.js';
import type { Frames } from '../core/frames.js';
import type { BrokerStatus, MinimalStatus } from '../wire/mmi-answers.js';
import type {
  Asker,
  BrokerHost,
  Interconnect,
  InternalRequest,
  InternalService,
  Registry,
} from '../broker/ports.js';
import { PagedList, readPageOptions } from './lists.js';
import { RESUME } from './protocol-extensions.js';
import { loadWords, NearNames } from './why.js';

const OK = Buffer.from('200');
const BAD_REQUEST = Buffer.from('400');
const NOT_FOUND = Buffer.from('404');
const TOO_MANY = Buffer.from('429');
const UNKNOWN = Buffer.from('501');
/** The status of a service that has workers and is paused: its requests wait. */
const PAUSED = Buffer.from('503');

const NAMES: readonly string[] = [
  MMI_SERVICE,
  MMI_SERVICES,
  MMI_WHY,
  MMI_WORKERS,
  MMI_CONTRACT,
  MMI_BROKER,
  MMI_HELLO,
  MMI_CANCEL,
  MMI_RESUME,
];

/** The `mmi.*` names answered where peers are strangers. */
const MINIMAL: readonly string[] = [
  MMI_SERVICE,
  MMI_WHY,
  MMI_BROKER,
  MMI_HELLO,
  MMI_CANCEL,
  MMI_RESUME,
];
/** An answer up to this size is always sent. */
const SMALL_BYTES = 4096;

/** Answers `mmi.fleet`, and knows which services other brokers serve. */
interface OtherBrokers {
  /** Asks the other brokers; `null`: they share only a database. */
  readonly interconnect: Pick<Interconnect, 'ask'> | null;
  status(now: number): AllBrokersStatus;
}

export class Mmi implements InternalService {
  readonly prefix: Buffer = MMI_PREFIX;
  readonly answersWorkers: boolean = true;
  readonly #registry: Registry;
  readonly #brokerStatus: (now: number) => BrokerStatus;
  readonly #serviceList: PagedList;
  readonly #workerList: PagedList;
  readonly #nearNames = new NearNames();
  #now = 0;
  /** `null`: this broker is alone. */
  others: OtherBrokers | null = null;

  /** @param brokerStatus the content of `mmi.broker`; `now` is monotonic milliseconds */
  constructor(registry: Registry, brokerStatus: (now: number) => BrokerStatus) {
    this.#registry = registry;
    this.#brokerStatus = brokerStatus;
    this.#serviceList = new PagedList(
      () => registry.serviceCount,
      () => registry.allServices(this.#now),
    );
    this.#workerList = new PagedList(
      () => registry.workerCount,
      () => registry.allWorkers(this.#now),
    );
  }

  offers(service: Buffer): boolean {
    const name = service.toString('latin1');
    return NAMES.includes(name) || (name === MMI_FLEET && this.others !== null);
  }

  request(request: InternalRequest, host: BrokerHost, now: number): void {
    this.#now = now;
    if (this.#askOthers(request, host)) return;
    const answer = this.#answer(request, host, now);
    if (answer === null) return;
    // An answer that its peer would not read is not kept for it (D76).
    const bytes = answer.reduce((sum, frame) => sum + frame.length, 0);
    if (bytes > SMALL_BYTES && bytes > request.asker.outputLeft()) {
      host.refuse(request.id, 'limit', 'earlier answers are unread');
    } else {
      host.answer(request.id, answer);
    }
  }

  /** Nobody here offers the service that was asked for: another broker may have a worker. */
  #askOthers(request: InternalRequest, host: BrokerHost): boolean {
    const { id, service, frames, headers, body, asker } = request;
    const interconnect = this.others?.interconnect ?? null;
    if (interconnect === null || headers >= 0 || frames.count - body !== 1) return false;
    const asked = frames.view(body);
    const name = service.toString('latin1');
    if ((name !== MMI_SERVICE && name !== MMI_WHY) || asked.length === 0) return false;
    if (asked.length > SERVICE_NAME_BYTES_MAX || this.#registry.isServed(asked)) return false;
    if (name === MMI_WHY && !mayAskWhy(asker, asked)) return false;
    const copy = Buffer.from(asked);
    interconnect.ask(copy, (isServed) => {
      if (isServed) host.answer(id, [OK]);
      else host.answer(id, name === MMI_WHY ? this.#why(copy, asker) : [NOT_FOUND]);
    });
    return true;
  }

  /** The answer; `null`: it was refused, or will be answered. */
  #answer(request: InternalRequest, host: BrokerHost, now: number): Buffer[] | null {
    const { frames, body, asker } = request;
    const argument = frames.view(body);
    const isSingle = frames.count - body === 1;
    const name = request.service.toString('latin1');
    if (isHidden(asker, name)) return [UNKNOWN];
    // A question to the broker takes no headers (D67).
    if (request.headers >= 0) return [BAD_REQUEST];
    switch (name) {
      case MMI_SERVICE:
        if (!isSingle || argument.length === 0) return [BAD_REQUEST];
        if (!isServedTo(asker, argument, this.#registry)) return [NOT_FOUND];
        return [this.#registry.isPaused(argument) ? PAUSED : OK];
      case MMI_WHY:
        if (!isSingle || argument.length === 0) return [BAD_REQUEST];
        if (argument.length > SERVICE_NAME_BYTES_MAX) return [BAD_REQUEST];
        return this.#why(argument, asker);
      case MMI_SERVICES:
        return this.#list(this.#serviceList, null, request, now);
      case MMI_WORKERS:
        return this.#list(this.#workerList, argument, request, now);
      case MMI_CONTRACT:
        if (!isSingle || argument.length === 0) return [BAD_REQUEST];
        return contractsOf(argument, asker, this.#registry);
      case MMI_BROKER:
        if (!isSingle) return [BAD_REQUEST];
        return [OK, json(statusFor(asker, this.#brokerStatus(now)))];
      case MMI_FLEET:
        if (this.others === null) return [UNKNOWN];
        return isSingle ? [OK, json(this.others.status(now))] : [BAD_REQUEST];
      case MMI_HELLO:
        return isSingle ? recordHello(request, host) : [BAD_REQUEST];
      case MMI_CANCEL:
        return [this.#cancelStatus(request, host)];
      case MMI_RESUME:
        return resume(request, host);
      default:
        return [UNKNOWN];
    }
  }

  /**
   * Why a request for the service waits: the status of `mmi.service`, and what is known as text. Where peers are
   * strangers, the text tells nothing but the status.
   */
  #why(service: Buffer, asker: Asker): Buffer[] {
    const isStranger = asker.isMmiMinimal;
    if (!mayAskWhy(asker, service)) return [NOT_FOUND];
    if (!isServedTo(asker, service, this.#registry)) {
      const served = (): Iterable<Buffer> => this.#served(asker);
      const near = isStranger ? '' : this.#nearNames.words(asker.scope, service, served, this.#now);
      return [NOT_FOUND, Buffer.from(`no worker serves it${near}`)];
    }
    const isPaused = this.#registry.isPaused(service);
    const load = isStranger ? null : this.#registry.status(service);
    const held = isStranger || isPaused ? null : this.#registry.whyHeld(service, this.#now);
    const words = [
      ...(isPaused ? ['an operator has paused it'] : []),
      ...(held === null ? [] : [`a limit holds ${held}`]),
      ...loadWords(load),
    ];
    const status = isPaused ? PAUSED : OK;
    return words.length === 0 ? [status] : [status, Buffer.from(words.join(', and '))];
  }

  /** The names with a worker that the asker may see. */
  *#served(asker: Asker): Generator<Buffer> {
    for (const { name } of this.#serviceList.shownTo(asker, null, this.#now).entries) {
      if (this.#registry.isServed(name)) yield name;
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

  #cancelStatus({ id, frames, body }: InternalRequest, host: BrokerHost): Buffer {
    const ids = idsOf(frames, body);
    if (ids === null) return BAD_REQUEST;
    return host.cancel(id, ids, this.#now) ? OK : TOO_MANY;
  }
}

/** The ids of requests that a message names; `null`: too many, or too long. */
function idsOf(frames: Frames, from: number): Buffer[] | null {
  const ids = frames.copyFrom(from);
  const isLong = ids.some(({ length }) => length > CANCEL_ID_BYTES_MAX);
  return ids.length > CANCEL_IDS_MAX || isLong ? null : ids;
}

/** D116: what became of requests whose client lost its connection; a frame for each. */
function resume({ id, frames, body }: InternalRequest, host: BrokerHost): Buffer[] | null {
  const ids = idsOf(frames, body);
  if (ids === null) return [BAD_REQUEST];
  const how = host.resume(id, ids, (states) => {
    host.answer(id, [OK, ...states.map((state) => Buffer.from(state))]);
  });
  if (how === 'asked') return null;
  return [how === 'no_session' ? NOT_FOUND : TOO_MANY];
}

/** Whoever is not recorded would get no failures: so that itself is refused (D11). */
function recordHello({ id, frames, body }: InternalRequest, host: BrokerHost): Buffer[] | null {
  const hello = readHello(frames.view(body));
  if (hello === null) return [BAD_REQUEST];
  const recorded = host.recordHello(id, hello);
  if ('why' in recorded) {
    host.refuse(id, recorded.why, recorded.text);
    return null;
  }
  const { resumeMs, isKnown: known, reason } = recorded;
  if (resumeMs === null) return [OK];
  return [OK, json(reason === null ? { resumeMs, known } : { resumeMs, reason })];
}

function isHidden({ isMmiMinimal }: Asker, name: string): boolean {
  return isMmiMinimal && !MINIMAL.includes(name);
}

/** Where peers are strangers they learn the status of any service, as from `mmi.service`. */
function mayAskWhy(asker: Asker, service: Buffer): boolean {
  return asker.isMmiMinimal || asker.mayRequest(service) || asker.mayServe(service);
}

function isServedTo(asker: Asker, service: Buffer, registry: Registry): boolean {
  const isMmi = service.subarray(0, MMI_PREFIX.length).equals(MMI_PREFIX);
  return registry.isServed(service) && !(isMmi && isHidden(asker, service.toString('latin1')));
}

/** Contracts of a service, for those who may request or offer it, as in lists. */
function contractsOf(service: Buffer, asker: Asker, registry: Registry): Buffer[] {
  const isShown = asker.mayRequest(service) || asker.mayServe(service);
  const contracts = isShown ? registry.contracts(service) : null;
  return contracts === null ? [NOT_FOUND] : [OK, contracts];
}

function statusFor(
  { isMmiMinimal, mayResume }: Asker,
  given: BrokerStatus,
): BrokerStatus | MinimalStatus {
  const extensions = given.extensions.filter((name) => mayResume || name !== RESUME);
  const status = { ...given, extensions };
  if (!isMmiMinimal) return status;
  const { http: _http, publicUrl: _publicUrl, events: _events, map: _map, ...minimal } = status;
  return minimal;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
