/**
 * What operators have paused: services, whose requests wait, and schedules, for which nothing is stored
 * when they are due. A pause is a record of its own kind that is never due. So it survives a restart, and the
 * other node of the pair and the brokers that share the store have it, too.
 */
import { NO_BODY } from '../../store/fields.js';
import type { DeliveryPort } from '../../broker/ports.js';
import { ownCopy } from '../../core/bytes.js';
import { DURATION_MS_MAX } from '../../core/numbers.js';
import { ownOf, packOwn } from '../../store/own-fields.js';
import { ANONYMOUS, newRequest } from '../../store/request.js';
import type {
  Acceptance,
  Change,
  ChangeResult,
  RequestUuid,
  StoredRequest,
  StoreFailure,
} from '../../store/store.js';
import { UNSENT, uuidPrefix, type TitanicContext } from './context.js';
import type { ChangeCallback, OpenRequests } from './open-requests.js';
import { closeOf } from './schedule-table.js';
import type { Uuids } from './uuid.js';

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
export interface MovedPause {
  readonly changes: readonly Change[];
  /** Their batch is about to be sent. */
  begins(): void;
  committed(): void;
}

interface Pause {
  readonly uuid: RequestUuid;
  readonly target: PauseTarget;
  /** See `Schedule.listed`. */
  listed: number;
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
  readonly #seen: () => number;
  /** The pauses by uuid. After a split, there may be two of one target. */
  readonly #all = new Map<string, Pause>();
  /** The pauses by target: a list of schedules asks for each. */
  readonly #byTarget = new Map<string, readonly Pause[]>();
  /** What is being paused, or is not any more, but not yet in the store. */
  readonly #changing = new Set<string>();
  /** `run` has something to tell the broker. */
  isChanged = true;

  /** @param seen the list in which a pause that becomes known now is: see `Schedule.listed` */
  constructor(context: TitanicContext, requests: OpenRequests, uuids: Uuids, seen: () => number) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
    this.#seen = seen;
  }

  has(target: PauseTarget): boolean {
    return this.#of(target).length > 0;
  }

  #of(target: PauseTarget): readonly Pause[] {
    return this.#byTarget.get(keyOf(target)) ?? [];
  }

  // ---------------------------------------------------------------- what is in the store

  /** Takes up a pause that is in the store: stored, listed, or merged from the other node of the pair. */
  restore(request: StoredRequest): void {
    const { uuid } = request;
    const listed = this.#seen();
    const known = this.#all.get(uuid.toString('latin1'));
    if (known !== undefined) {
      known.listed = listed;
      return;
    }
    const target = targetOf(request);
    if (target === null) {
      const text = 'it is no pause that this version knows';
      this.#context.events.emit({ name: 'schedule.unreadable', uuid: uuidPrefix(uuid), text });
      return;
    }
    const pause = { uuid: ownCopy(uuid), target, listed };
    this.#all.set(uuid.toString('latin1'), pause);
    this.#byTarget.set(keyOf(target), [...this.#of(target), pause]);
    this.isChanged = true;
  }

  gone(uuid: RequestUuid): void {
    const key = uuid.toString('latin1');
    const pause = this.#all.get(key);
    if (pause === undefined) return;
    this.#all.delete(key);
    const left = this.#of(pause.target).filter((each) => each !== pause);
    if (left.length > 0) this.#byTarget.set(keyOf(pause.target), left);
    else this.#byTarget.delete(keyOf(pause.target));
    this.isChanged = true;
  }

  /** All in the store have been listed: another broker ended those that are not in the list. */
  allListed(list: number): void {
    for (const { uuid, listed } of [...this.#all.values()]) if (listed < list) this.gone(uuid);
  }

  // ---------------------------------------------------------------- schedules come and go

  /** Whether a service or schedule is being paused, or resumed. */
  isChanging(target: PauseTarget): boolean {
    return this.#changing.has(keyOf(target));
  }

  /** Has the pause of a schedule go over to the one that takes its place. */
  move(from: RequestUuid, to: RequestUuid): MovedPause | null {
    const known = this.#of({ kind: 'schedule', of: from });
    if (known.length === 0) return null;
    const accept = this.#acceptance({ kind: 'schedule', of: to });
    const { wall } = this.#context;
    return {
      changes: [...known.map((pause) => closeOf(pause, wall)), accept],
      begins: () => {
        accept.request.number = this.#context.takeNumber();
      },
      committed: () => {
        for (const { uuid } of known) this.gone(uuid);
        this.restore(accept.request);
      },
    };
  }

  /** A schedule has ended: its pauses end, too. */
  ended(schedule: RequestUuid): void {
    for (const pause of this.#of({ kind: 'schedule', of: schedule })) {
      this.#requests.intend('', closeOf(pause, this.#context.wall), 0, {
        committed: () => this.gone(pause.uuid),
        failed: () => true,
      });
    }
  }

  /** The schedules that are paused. */
  get schedules(): RequestUuid[] {
    const targets = [...this.#all.values()].map(({ target }) => target);
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
    const known = this.#of(target);
    if (!isReady) decided(LOADING);
    else if (this.#changing.has(key)) decided(CHANGING);
    else if (isOn === known.length > 0) decided('passed');
    else if (isOn && this.#all.size + this.#changing.size >= PAUSES_MAX) decided(FULL);
    else {
      this.#changing.add(key);
      const over: ChangeCallback = (result) => {
        this.#changing.delete(key);
        decided(result);
      };
      if (isOn) this.#pause(target, over);
      else this.#resume(known, over);
    }
  }

  #pause(target: PauseTarget, over: ChangeCallback): void {
    const accept = this.#acceptance(target);
    const ended = (result: ChangeResult | null): void => {
      if (result !== null) this.restore(accept.request);
    };
    this.#requests.order(accept, ended, over);
  }

  #acceptance(target: PauseTarget): Acceptance {
    const { wall } = this.#context;
    const never = wall + DURATION_MS_MAX;
    const request = newRequest(this.#uuids.next(wall), NO_BODY.length, {
      ...UNSENT,
      kind: 'pause',
      owner: ANONYMOUS,
      own: ownFields(target),
      acceptedAt: wall,
      notBefore: never,
      expiresAt: never,
    });
    return { kind: 'accept', request, body: NO_BODY, key: null };
  }

  /** Closes the pauses one after the other: there is nearly always one. */
  #resume([pause, ...others]: readonly Pause[], over: ChangeCallback): void {
    if (pause === undefined) {
      over('done');
      return;
    }
    this.#requests.close(pause.uuid, (result) => {
      // One that another broker has ended is gone, too.
      if (result === 'done' || result === 'passed') this.#resume(others, over);
      else over(result);
    });
  }

  // ---------------------------------------------------------------- a turn

  /**
   * Tells the broker which services are paused. What it was told before an activation stays until all that
   * is paused is known.
   */
  run(broker: DeliveryPort, isReady: boolean): void {
    if (!this.isChanged) return;
    const { pausedServices: told } = this.#context;
    const paused = new Set<string>();
    for (const { target } of this.#all.values()) {
      if (target.kind !== 'service') continue;
      const name = target.of.toString('latin1');
      paused.add(name);
      if (told.has(name)) continue;
      told.add(name);
      broker.setPaused(target.of, true);
    }
    if (!isReady) return;
    this.isChanged = false;
    for (const name of told) {
      if (paused.has(name)) continue;
      told.delete(name);
      broker.setPaused(Buffer.from(name, 'latin1'), false);
    }
  }
}
