/** Orders to the store's thread, taken out of a message. */
import { assert, present } from '../../core/assert.js';
import { unpackChanges } from '../../store/batch-codec.js';
import type { PackReader } from '../../core/packing.js';
import type { Change, ClaimOrder, RequestUuid } from '../../store/store.js';
import {
  DO_CLAIM,
  DO_CLOSE,
  DO_COMMIT,
  DO_HINT,
  DO_LIST,
  DO_LIST_SCHEDULES,
  DO_LOAD,
  DO_LOOK_UP,
  unpackTransaction,
  unpackUuids,
} from '../../store/thread/messages.js';
import { unpackClaimOrder } from '../../store/thread/claim-messages.js';

export type Order =
  | { readonly kind: 'commit'; readonly id: number; readonly changes: readonly Change[] }
  | {
      readonly kind: 'look_up';
      readonly id: number;
      readonly uuid: RequestUuid;
      readonly replyBytesMax: number;
    }
  | { readonly kind: 'load'; readonly id: number; readonly uuids: readonly RequestUuid[] }
  | {
      readonly kind: 'list' | 'list_schedules';
      readonly id: number;
      readonly after: number;
    }
  | { readonly kind: 'claim'; readonly id: number; readonly order: ClaimOrder }
  | { readonly kind: 'hint'; readonly hint: Buffer }
  | { readonly kind: 'close' };

export function readOrders(message: PackReader): Order[] {
  const orders: Order[] = [];
  while (!message.isAtEnd) {
    const what = message.byte();
    const id = message.number();
    switch (what) {
      case DO_COMMIT: {
        const { tombstones } = unpackTransaction(id, message);
        assert(tombstones === 'none', 'a store that belongs to no pair');
        orders.push({ kind: 'commit', id, changes: present(unpackChanges(message), 'changes') });
        break;
      }
      case DO_LOOK_UP: {
        const uuid = message.bytes();
        orders.push({ kind: 'look_up', id, uuid, replyBytesMax: message.number() });
        break;
      }
      case DO_LOAD:
        orders.push({ kind: 'load', id, uuids: unpackUuids(message) });
        break;
      case DO_LIST:
        orders.push({ kind: 'list', id, after: message.number() });
        break;
      case DO_LIST_SCHEDULES:
        orders.push({ kind: 'list_schedules', id, after: message.number() });
        break;
      case DO_CLAIM:
        orders.push({ kind: 'claim', id, order: unpackClaimOrder(message) });
        break;
      case DO_HINT:
        orders.push({ kind: 'hint', hint: message.bytes() });
        break;
      default:
        assert(what === DO_CLOSE, 'an order of a known kind');
        orders.push({ kind: 'close' });
    }
  }
  return orders;
}
