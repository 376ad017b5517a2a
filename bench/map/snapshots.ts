/** The machine alone: what ten snapshots of a million keys cost it. Needs `--expose-gc`. */
import { Frames } from '../../src/core/frames.js';
import { MapMachine } from '../../src/extensions/map/machine/map-machine.js';
import type { MapRecord } from '../../src/extensions/map/machine/record.js';
import type { Completion } from '../../src/store/store.js';
import { ICANHAZ } from '../../src/wire/chp-client.js';

const KEYS = 1_000_000;
const VALUE_BYTES = 100;
const CLIENTS = 10;
const LISTED = 10_000;
/** A turn after the other, as the loop takes them. */
const TURN_MS = 1;
const MIB = 1024 * 1024;

export interface SnapshotFigures {
  readonly keys: number;
  readonly clients: number;
  /** The turn in which they begin, and the longest one after it, in milliseconds. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** The heap with the map alone, and how much it grows while all are under way, in MiB. */
  readonly heapMib: number;
  readonly grownMib: number;
}

function record(index: number): MapRecord {
  const value = Buffer.alloc(VALUE_BYTES, `${index}:`).toString('latin1');
  const [key, text] = [`/bench/${index}`, { uuid: '', properties: '' }];
  return { key, epoch: 1, counter: index, ...text, value, ttlS: 0 };
}

function heapMib(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / MIB;
}

function loaded(sent: () => void): MapMachine {
  const ignore = (): void => {};
  const asked: Completion<readonly MapRecord[]>[] = [];
  const machine = new MapMachine(
    { bytesMax: Infinity, mayWrite: () => true },
    {
      sink: {
        publish: ignore,
        greet: ignore,
        closeSubscribers: ignore,
        snapshot: sent,
        close: ignore,
        vote: ignore,
      },
      now: () => 0,
      replica: { refusal: null, commit: () => false },
      store: { listMap: (_after, completion) => asked.push(completion) },
      events: { emit: ignore },
    },
  );
  machine.open();
  let next = 0;
  for (let list = asked.shift(); list !== undefined; list = asked.shift()) {
    const count = Math.min(LISTED, KEYS - next);
    list.done(Array.from({ length: count }, () => record(next++)));
  }
  return machine;
}

export function measureSnapshots(): SnapshotFigures {
  let sent = 0;
  const machine = loaded(() => {
    sent++;
  });
  let now = 0;
  machine.activate(1, now);
  machine.run(now);
  const before = heapMib();
  const question = Frames.of(ICANHAZ, '');
  for (let peer = 1; peer <= CLIENTS; peer++) {
    machine.snapshots.connected(peer, { identity: `127.0.0.${peer}`, key: null, address: '' });
    machine.message(peer, question, now);
  }
  const took: number[] = [];
  let grown = 0;
  while (sent < CLIENTS * (KEYS + 1)) {
    const start = performance.now();
    machine.run((now += TURN_MS));
    took.push(performance.now() - start);
    if (took.length === 1) grown = heapMib() - before;
  }
  const [first = NaN, ...others] = took;
  return {
    keys: KEYS,
    clients: CLIENTS,
    firstMs: first,
    longestMs: Math.max(...others.slice(0, 100_000)),
    heapMib: before,
    grownMib: grown,
  };
}
