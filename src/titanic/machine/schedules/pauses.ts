/**
 * What operators have paused: services, whose requests wait, and schedules, for which nothing is stored
 * when they are due. A pause is a record of its own kind that is never due. So it survives a restart, and the
 * other node of the pair and the brokers that share the store have it, too.
 */
import type { DeliveryPort } from '../../../broker/ports.js';
import { ownOf, packOwn } from '../../../store/own-fields.js';
import type {
  NewRequest,
  Change,
  ChangeResult,
  RequestUuid,
  StoredRequest,
  StoreFailure,
} from '../../../store/store.js';
import { uuidPrefix, type TitanicContext } from '../requests/context.js';
import { closeEach, keptAcceptance, KeptRecords } from './kept-records.js';
import type { ChangeCallback, OpenRequests } from '../requests/open-requests.js';
import { closeOf } from './schedule-table.js';
import type { Uuids } from '../requests/uuid.js';

/** Maximum number on a node. */
const PAUSES_MAX = 1000;
const FULL: StoreFailure = { kind: 'busy', message: `at most ${PAUSES_MAX} pauses can be stored` };
const CHANGING: StoreFailure = {
  kind: 'busy',
  message: 'it is being paused or resumed: try again',
};
const LOADING: StoreFailure = {
  kind: 'busy',
  message: 'what is paused is still being read from the store: try again',
};

export interface PauseTarget {
  readonly kind: 'service' | 'schedule';
  /** The name of the service, or the uuid of the schedule. */
  readonly of: Buffer;
}

/** What is stored with a schedule that takes the place of another one. */
interface MovedPause {
  readonly changes: readonly Change[];
  committed(): void;
}

/** What a stored pause keeps waiting; `null`: nothing that this program knows. */
function targetOf({ own }: StoredRequest): PauseTarget | null {
  const { service, schedule } = ownOf('pause', own) ?? {};
  if (service === undefined || schedule === undefined) return null;
  if (service.length > 0) return { kind: 'service', of: service };
  return schedule.length > 0 ? { kind: 'schedule', of: schedule } : null;
}

function ownFields({ kind, of }: PauseTarget): Buffer {
  const none = Buffer.alloc(0);
  return packOwn('pause', {
    service: kind === 'service' ? of : none,
    schedule: kind === 'schedule' ? of : none,
  });
}

function keyOf({ kind, of }: PauseTarget): string {
  return `${kind} ${of.toString('latin1')}`;
}

export class Pauses {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  /** By what is paused: a list of schedules asks for each. */
  readonly #records: KeptRecords<PauseTarget>;
  /** What is being paused, or is not any more, but not yet in the store. */
  readonly #changing = new Set<string>();
  /** @param seen see `KeptRecords` */
  constructor(context: TitanicContext, requests: OpenRequests, uuids: Uuids, seen: () => number) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
    this.#records = new KeptRecords(seen);
  }

  has(target: PauseTarget): boolean {
    return this.#records.of(keyOf(target)).length > 0;
  }

  // ---------------------------------------------------------------- what is in the store

  /** Takes up a pause that is in the store: stored, listed, or merged from the other node of the pair. */
  restore(request: StoredRequest): void {
    const { uuid } = request;
    if (this.#records.isKnown(uuid)) return;
    const target = targetOf(request);
    if (target !== null) this.#records.add(uuid, keyOf(target), target);
    else {
      this.#records.addUnreadable(uuid);
      const text = 'it is no pause that this version knows';
      this.#context.events.emit({ name: 'schedule.unreadable', uuid: uuidPrefix(uuid), text });
    }
  }

  gone(uuid: RequestUuid): void {
    this.#records.gone(uuid);
  }

  /** See `KeptRecords.allListed`. */
  allListed(list: number): void {
    this.#records.allListed(list);
  }

  // ---------------------------------------------------------------- schedules come and go

  /** Whether a service or schedule is being paused, or resumed. */
  isChanging(target: PauseTarget): boolean {
    return this.#changing.has(keyOf(target));
  }

  /** Has the pause of a schedule go over to the one that takes its place. */
  move(from: RequestUuid, to: RequestUuid): MovedPause | null {
    const known = this.#records.of(keyOf({ kind: 'schedule', of: from }));
    if (known.length === 0) return null;
    const accept = this.#acceptance({ kind: 'schedule', of: to });
    const { wall } = this.#context;
    return {
      changes: [...known.map((pause) => closeOf(pause, wall)), accept],
      committed: () => {
        for (const { uuid } of known) this.gone(uuid);
        this.restore(accept.request);
      },
    };
  }

  /** A schedule has ended: its pauses end, too. */
  ended(schedule: RequestUuid): void {
    for (const pause of this.#records.of(keyOf({ kind: 'schedule', of: schedule }))) {
      this.#requests.commit({
        ...{ change: closeOf(pause, this.#context.wall), party: '', bytes: 0 },
        ended: ({ kind }) => {
          if (kind === 'made') this.gone(pause.uuid);
          return kind !== 'made';
        },
      });
    }
  }

  /** The schedules that are paused. */
  get schedules(): RequestUuid[] {
    const targets = [...this.#records.all()].map(({ item }) => item);
    return targets.filter(({ kind }) => kind === 'schedule').map(({ of }) => of);
  }

  // ---------------------------------------------------------------- commands of operators

  /**
   * @param isOn it is paused from then on; otherwise not any more
   * @param isReady all that is paused is known
   * @param decided `passed`: it was so before
   */
  set(target: PauseTarget, isOn: boolean, isReady: boolean, decided: ChangeCallback): void {
    const key = keyOf(target);
    const known = this.#records.of(key);
    if (!isReady) decided(LOADING);
    else if (this.#changing.has(key)) decided(CHANGING);
    else if (isOn === known.length > 0) decided('passed');
    else if (isOn && this.#records.size + this.#changing.size >= PAUSES_MAX) decided(FULL);
    else {
      this.#changing.add(key);
      const over: ChangeCallback = (result) => {
        this.#changing.delete(key);
        decided(result);
      };
      if (isOn) this.#pause(target, over);
      else closeEach(this.#requests, known, over);
    }
  }

  #pause(target: PauseTarget, over: ChangeCallback): void {
    const accept = this.#acceptance(target);
    const ended = (result: ChangeResult | null): void => {
      if (result !== null) this.restore(accept.request);
    };
    this.#requests.order(accept, ended, over);
  }

  #acceptance(target: PauseTarget): NewRequest {
    return keptAcceptance(this.#context, this.#uuids, 'pause', ownFields(target));
  }

  // ---------------------------------------------------------------- a turn

  /** Whether `run` has something to tell the broker. */
  get isChanged(): boolean {
    return this.#records.isChanged;
  }

  /**
   * Tells the broker which services are paused. What it was told before an activation stays until all that
   * is paused is known.
   */
  run(broker: DeliveryPort, isReady: boolean): void {
    if (!this.#records.isChanged) return;
    const { pausedServices: told } = this.#context;
    const paused = new Set<string>();
    for (const { item: target } of this.#records.all()) {
      if (target.kind !== 'service') continue;
      const name = target.of.toString('latin1');
      paused.add(name);
      if (told.has(name)) continue;
      told.add(name);
      broker.setPaused(target.of, true);
    }
    if (!isReady) return;
    this.#records.isChanged = false;
    for (const name of told) {
      if (paused.has(name)) continue;
      told.delete(name);
      broker.setPaused(Buffer.from(name, 'latin1'), false);
    }
  }
}
