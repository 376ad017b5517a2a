import type { StoredState } from './store.js';

/** What happened to stored requests, for those who watch. Names are percent-escaped (D3). */
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
  /** By an operator. */
  | { readonly name: 'titanic.cancelled'; readonly service: string }
  /** An operator had dead ones tried again; `null`: of any service. */
  | {
      readonly name: 'titanic.reopened';
      readonly service: string | null;
      readonly count: number;
    }
  /** An operator had them deleted; `null`: of any service, dead or replied. */
  | {
      readonly name: 'titanic.purged';
      readonly service: string | null;
      readonly state: StoredState | null;
      readonly count: number;
    }
  | {
      readonly name: 'titanic.refused';
      readonly reason: 'store' | 'limit' | 'peer';
      readonly text: string;
    }
  /** Somebody asked for, or wanted to close, what another one stored (D71): it was answered 400. */
  | {
      readonly name: 'titanic.denied';
      readonly wanted: 'reply' | 'close';
      /** The beginning of its uuid. */
      readonly uuid: string;
      /** Of who asked: the name of the key, and where they came from. */
      readonly key: string | null;
      readonly address: string;
    }
  /** A request for `titanic.*` that is answered 400 because it cannot be read (D12). */
  | { readonly name: 'titanic.malformed'; readonly reason: string }
  /** Told once; new requests are answered 500 until `store.healed`. */
  | {
      readonly name: 'store.failed';
      readonly kind: 'full' | 'busy' | 'fatal';
      readonly text: string;
    }
  | { readonly name: 'store.healed' }
  /** The data directory did not remember it: its first one, or one from before it remembered any. */
  | {
      readonly name: 'store.known';
      readonly how: 'made' | 'found';
      readonly id: string;
    }
  /** By order (`--new-store`) it is another one. */
  | {
      readonly name: 'store.renewed';
      readonly id: string;
      /** What stood in its place is there now; `null`: nothing was moved. */
      readonly aside: string | null;
    }
  /** The order was not needed. */
  | { readonly name: 'store.kept'; readonly id: string };

/** How a stored request ended, for now or for good. */
export type TitanicEnd = 'replied' | 'dead' | 'closed' | 'expired';

/**
 * One step of a stored request, for the log at level debug. `uuid` is only its beginning (time and
 * twelve random bits), because the whole is the credential for the reply.
 */
export type TitanicStep = { readonly uuid: string } & (
  | { readonly name: 'titanic.accepted'; readonly service: string }
  | { readonly name: 'titanic.dispatched'; readonly worker: number }
  | { readonly name: 'titanic.failed'; readonly attempts: number; readonly reason: string }
  | { readonly name: 'titanic.ended'; readonly outcome: TitanicEnd }
);

/** Called within the machine; it only notes what it hears. */
export type TitanicTrace = (step: TitanicStep) => void;

export interface TitanicEvents {
  emit(event: TitanicEvent): void;
}
