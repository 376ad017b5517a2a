/**
 * The map's records in its part of the store (store/ranked.ts): what the body of each means, which no other
 * part of the node reads. The body: a byte for its format (1), then the fields of `BODY_FIELDS`.
 */
import { PackReader, PackWriter } from '../../core/value-bytes.js';
import { type Fields, REST, type Shape } from '../../core/shapes.js';
import type { PartStorage, Ranked, TombstoneSizes } from '../../store/ranked.js';
import type { Completion } from '../../store/store.js';
import {
  keyProblem,
  PROPERTIES_BYTES_MAX,
  readProperties,
  UUID_BYTES,
} from '../../wire/chp-client.js';
import { isDeletion, type MapRecord, RECORD_BYTES, type Value, valueOf } from './machine/record.js';
import type { MapStorage } from './machine/replica.js';

const FORMAT = 1;
/** Bytes of a body without its texts and its value. */
const FIXED_BYTES = 4;

/** Behind its length. */
function text(bytes: number, isOne: (length: number) => boolean): Shape<string> {
  return {
    as: `${bytes} + n`,
    put: (to, value) => {
      to.uint(value.length, bytes);
      to.latin1(value);
    },
    take: (from) => {
      const length = from.uint(bytes);
      return isOne(length) ? from.raw(length).toString('latin1') : from.refuse('');
    },
  };
}

/** The fields of a body, in their order. `ttlS` is in the properties. */
export const BODY_FIELDS: Fields<Pick<MapRecord, 'uuid' | 'properties' | 'value'>> = {
  uuid: text(1, (length) => length === 0 || length === UUID_BYTES),
  properties: text(2, (length) => length <= PROPERTIES_BYTES_MAX),
  value: {
    as: REST.as ?? '',
    put: (to, value: Value) => {
      if (typeof value === 'string') to.latin1(value);
      else to.raw(value);
    },
    take: (from) => valueOf(from.rest()),
  },
};

export function rankedOf(record: MapRecord): Ranked {
  const { key, epoch, counter, uuid, properties, value } = record;
  const to = new PackWriter(FIXED_BYTES + uuid.length + properties.length + value.length);
  to.byte(FORMAT);
  BODY_FIELDS.uuid.put(to, uuid);
  BODY_FIELDS.properties.put(to, properties);
  BODY_FIELDS.value.put(to, value);
  return { key, epoch, counter, isDeleted: isDeletion(record), body: to.takeBuffer() };
}

/** @returns a copy; `null` if no map of this version has made the record */
export function recordIn({ key, epoch, counter, isDeleted, body }: Ranked): MapRecord | null {
  const from = new PackReader(body);
  if (from.byte() !== FORMAT || !isKey(key)) return null;
  const uuid = BODY_FIELDS.uuid.take(from);
  const properties = BODY_FIELDS.properties.take(from);
  const value = BODY_FIELDS.value.take(from);
  const ttlS = readProperties(properties);
  const record = { key, epoch, counter, uuid, properties, value };
  if (!from.isWhole || typeof ttlS !== 'number') return null;
  return (value.length === 0) === isDeleted ? { ...record, ttlS } : null;
}

function isKey(key: string): boolean {
  return keyProblem(Buffer.from(key, 'latin1')) === null;
}

/** @param unreadable told of each record that no map of this version has made; its key counts as absent */
export function mapStorage(part: PartStorage, unreadable: (key: string) => void): MapStorage {
  const { replica, epochMax } = part;
  /** What stands for a change that cannot be read: whatever its key had is not in force any more. */
  const changeIn = (ranked: Ranked): MapRecord[] => {
    const record = recordIn(ranked);
    if (record !== null) return [record];
    const { key, epoch, counter } = ranked;
    unreadable(key);
    const deletion = { key, epoch, counter, uuid: '', properties: '', value: '', ttlS: 0 };
    return isKey(key) ? [deletion] : [];
  };
  const list = (after: string, completion: Completion<readonly MapRecord[]>): void => {
    part.list(after, {
      done: (found) => {
        const records = found.flatMap((ranked) => {
          const record = recordIn(ranked);
          if (record === null) unreadable(ranked.key);
          return record ?? [];
        });
        const last = found.at(-1);
        // Nothing would mean that there are no more.
        if (records.length === 0 && last !== undefined) list(last.key, completion);
        else completion.done(records);
      },
      failed: (failure) => completion.failed(failure),
    });
  };
  return {
    replica: {
      get refusal() {
        return replica.refusal;
      },
      get isHandingOver() {
        return replica.isHandingOver === true;
      },
      commit: (changes, outcome) => replica.commit(changes.map(rankedOf), outcome),
    },
    store: { listMap: list },
    epochMax,
    serve: (machine) => {
      const tombstones = ({ count, keyBytes }: TombstoneSizes): void => {
        machine.tombstoneBytesChanged(keyBytes + count * RECORD_BYTES);
      };
      part.serve({
        tombstones,
        followed: (changes) => machine.followed(changes.flatMap(changeIn)),
        merged: ({ changed, ineffective, conflicts }) => {
          machine.merged({
            changed: changed.flatMap(changeIn),
            ineffective: ineffective.flatMap((ranked) => recordIn(ranked) ?? []),
            conflicts,
          });
        },
        numbersAbove: (epoch) => machine.numbersAbove(epoch),
      });
      tombstones(part.tombstones);
    },
  };
}
