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
  | {
      readonly name: 'titanic.refused';
      readonly reason: 'store' | 'limit';
      readonly text: string;
    }
  /** Told once; new requests are answered 500 until `store.healed`. */
  | {
      readonly name: 'store.failed';
      readonly kind: 'full' | 'busy' | 'fatal';
      readonly text: string;
    }
  | { readonly name: 'store.healed' };

export interface TitanicEvents {
  emit(event: TitanicEvent): void;
}

/** Counted since the start. */
export class TitanicCounters {
  accepted = 0;
  completed = 0;
  retried = 0;
  dead = 0;
  expired = 0;
}
