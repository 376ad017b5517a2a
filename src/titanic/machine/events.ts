import type { StoredState } from '../../store/store.js';

/** Events of stored requests, for monitoring. Names are percent-escaped (D3). */
export type TitanicEvent =
  | {
      readonly name: 'titanic.recovered';
      readonly pending: number;
      readonly replied: number;
      readonly dead: number;
      readonly tookMs: number;
    }
  | { readonly name: 'titanic.retried'; readonly service: string; readonly reason: string }
  | {
      readonly name: 'titanic.died';
      readonly service: string;
      readonly attempts: number;
      readonly reason: string;
    }
  | { readonly name: 'titanic.expired'; readonly service: string }
  /** An operator had requests cancelled; `null`: of several services. */
  | {
      readonly name: 'titanic.cancelled';
      readonly service: string | null;
      readonly count: number;
      /** The user whom a trusted proxy names, or the name of the token. */
      readonly who: string;
    }
  /** An operator had dead requests tried again; `null`: of several services. */
  | {
      readonly name: 'titanic.reopened';
      readonly service: string | null;
      readonly count: number;
      /** The user whom a trusted proxy names, or the name of the token. */
      readonly who: string;
    }
  /**
   * An operator had requests deleted; `null`: of several services, or both dead and replied ones.
   */
  | {
      readonly name: 'titanic.purged';
      readonly service: string | null;
      readonly state: StoredState | null;
      readonly count: number;
      readonly who: string;
    }
  | {
      readonly name: 'titanic.refused';
      readonly reason: 'store' | 'limit' | 'peer';
      readonly text: string;
    }
  /**
   * A peer asked for, or tried to close, a request that another one stored (D71); the answer was
   * 400.
   */
  | {
      readonly name: 'titanic.denied';
      readonly wanted: 'reply' | 'close';
      /** The beginning of the uuid. */
      readonly uuid: string;
      /** Who asked: the name of the key, and the source address. */
      readonly key: string | null;
      readonly address: string;
    }
  /**
   * A schedule was made, or took the place of one of that name. `service`: of its requests; `key`: of its
   * owner, by name; `null`: the shared anonymous owner.
   */
  | {
      readonly name: 'schedule.made';
      readonly schedule: string;
      readonly service: string;
      readonly key: string | null;
      readonly next: string;
    }
  /** Ended by its owner, by an operator, or in favour of a younger one of that name in a merge. */
  | {
      readonly name: 'schedule.ended';
      readonly schedule: string;
      readonly service: string;
      readonly key: string | null;
      readonly reason: string;
    }
  /** A due time for which nothing was stored: the owner has no right to the service now. */
  | {
      readonly name: 'schedule.denied';
      readonly schedule: string;
      readonly service: string;
      readonly key: string | null;
      readonly due: string;
    }
  /** A due time for which nothing can be stored now: it is tried again soon. */
  | {
      readonly name: 'schedule.delayed';
      readonly schedule: string;
      readonly service: string;
      readonly key: string | null;
      readonly text: string;
    }
  /** Paused by an operator: nothing is stored for it when it is due. */
  | {
      readonly name: 'schedule.paused';
      readonly schedule: string;
      readonly service: string;
      readonly key: string | null;
      readonly who: string;
    }
  /** Resumed by an operator, after it was paused. */
  | {
      readonly name: 'schedule.resumed';
      readonly schedule: string;
      readonly service: string;
      readonly key: string | null;
      readonly who: string;
    }
  /** An operator had a request stored for it, beside those of its due times. */
  | {
      readonly name: 'schedule.fired';
      readonly schedule: string;
      readonly service: string;
      readonly key: string | null;
      readonly who: string;
    }
  /** Paused by an operator: its requests wait. */
  | { readonly name: 'service.paused'; readonly service: string; readonly who: string }
  /** Resumed by an operator: its requests go to its workers again. */
  | { readonly name: 'service.resumed'; readonly service: string; readonly who: string }
  /** A stored schedule that this version, or this system, does not understand. */
  | { readonly name: 'schedule.unreadable'; readonly uuid: string; readonly text: string }
  /** The wall clock was set, by so much: for a minute nothing that is stored ends by time (D110). */
  | {
      readonly name: 'clock.stepped';
      /** Negative: it was set back. */
      readonly stepMs: number;
      readonly pending: number;
      readonly replied: number;
      readonly dead: number;
    }
  /** At the start the wall clock is before the newest request in the store, which was accepted at `newest`. */
  | { readonly name: 'clock.behind'; readonly behindMs: number; readonly newest: string }
  /** The wall clock has passed that time. */
  | { readonly name: 'clock.caught_up' }
  /** A request for `titanic.*` was answered 400 because it cannot be read (D12). */
  | { readonly name: 'titanic.malformed'; readonly reason: string }
  /** Emitted once; new requests are answered 500 until `store.healed`. */
  | {
      readonly name: 'store.failed';
      readonly kind: 'full' | 'busy' | 'fatal';
      readonly text: string;
    }
  | { readonly name: 'store.healed' }
  /** No connection to the database could be made; emitted once. */
  | { readonly name: 'store.lost'; readonly text: string }
  | { readonly name: 'store.returned'; readonly host: string; readonly awayMs: number }
  /** The database does not take one row of a batch; the others are stored. */
  | { readonly name: 'store.refused'; readonly text: string }
  /** The database refuses what is read of it. */
  | { readonly name: 'store.unread'; readonly text: string }
  /**
   * Another session of the database keeps a row locked: its changes are tried again, the others of the
   * batch are stored. `pid`: the process of the server that has locked it; `null`: not known.
   */
  | { readonly name: 'store.locked'; readonly uuid: string; readonly pid: number | null }
  /** A program that reads the store file keeps its log from being emptied; again if it is another one. */
  | { readonly name: 'store.log_held'; readonly by: string; readonly bytes: number }
  | { readonly name: 'store.log_freed' }
  /** The database is now another server, or its history has branched. */
  | { readonly name: 'store.switched'; readonly host: string; readonly text: string }
  /** The broker may not write to the database until it has another session; emitted repeatedly. */
  | { readonly name: 'store.session_lost'; readonly text: string }
  | { readonly name: 'store.session_taken' }
  /** The broker ended the session of another one, which did not renew it. */
  | { readonly name: 'store.session_ended'; readonly node: string; readonly session: number }
  /** The data directory had no record of it: it is its first store, or older than such records. */
  | {
      readonly name: 'store.known';
      readonly how: 'made' | 'found';
      readonly id: string;
    }
  /** The store is another one, as ordered by `--new-store`. */
  | {
      readonly name: 'store.renewed';
      readonly id: string;
      /** Where the previous store is now; `null`: nothing was moved. */
      readonly aside: string | null;
    }
  /** The store has rows that cannot be used: of them nothing is served. At each start. */
  | { readonly name: 'store.set_aside'; readonly text: string }
  /** The store keeps records of a part that no extension of this program knows. Once for each part. */
  | { readonly name: 'store.part_kept'; readonly part: number }
  /** `--new-store` was not needed. */
  | { readonly name: 'store.kept'; readonly id: string };

/** How a stored request ended; a dead one may still be retried. */
export type TitanicEnd = 'replied' | 'dead' | 'closed' | 'expired';

/**
 * A step of a stored request, for the log at level debug. `uuid` is only its beginning (time and
 * twelve random bits), because the whole uuid is the credential for the reply.
 */
export type TitanicStep = { readonly uuid: string } & (
  | { readonly name: 'titanic.accepted'; readonly service: string }
  | { readonly name: 'titanic.dispatched'; readonly worker: number }
  | { readonly name: 'titanic.failed'; readonly attempts: number; readonly reason: string }
  | { readonly name: 'titanic.ended'; readonly outcome: TitanicEnd }
);

/** Called within the machine's turn, so it may only record the step. */
export type TitanicTrace = (step: TitanicStep) => void;

export interface TitanicEvents {
  emit(event: TitanicEvent): void;
}
