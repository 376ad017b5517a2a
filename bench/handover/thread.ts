/**
 * The reading thread: takes a ZMTP stream and sends batches of messages to the thread that started
 * it.
 */
import { parentPort, workerData } from 'node:worker_threads';

import type { Frames } from '../../src/core/frames.js';
import { threadCpuNs } from './cpu.js';
import { RingWriter, writeRecord } from './ring.js';
import { prepare } from './stream.js';
import { GO, type Note, TAKEN, type Task } from './task.js';

const BATCHES_UNDER_WAY_MAX = 64;
const PEER = 7;

interface HandOver {
  begin(read: Buffer): void;
  message(frames: Frames): void;
  finish(): void;
  waitUntilTaken(): void;
}

function byRing(memory: SharedArrayBuffer): HandOver {
  const ring = new RingWriter(memory);
  return {
    begin: () => undefined,
    message: (frames) => {
      ring.write(PEER, frames);
    },
    finish: () => {
      ring.publish();
    },
    waitUntilTaken: () => {
      ring.waitUntilRead();
    },
  };
}

function byPost(signals: Int32Array): HandOver {
  let batch = new ArrayBuffer(0);
  let bytes = Buffer.from(batch);
  let at = 0;
  let posted = 0;
  const waitUntilUnderWay = (max: number): void => {
    for (;;) {
      const taken = Atomics.load(signals, TAKEN);
      if (posted - taken <= max) return;
      Atomics.wait(signals, TAKEN, taken);
    }
  };
  return {
    begin: (read) => {
      // A record is at most eleven bytes larger than its frames as received; a message has 40 or
      // more.
      batch = new ArrayBuffer(read.length * 2);
      bytes = Buffer.from(batch);
      at = 0;
    },
    message: (frames) => {
      at = writeRecord(bytes, at, PEER, frames);
    },
    finish: () => {
      waitUntilUnderWay(BATCHES_UNDER_WAY_MAX);
      parentPort?.postMessage({ batch, bytes: at }, [batch]);
      posted++;
    },
    waitUntilTaken: () => {
      waitUntilUnderWay(0);
    },
  };
}

const { load, way, oneByOne, memory, signals: shared } = workerData as Task;
const signals = new Int32Array(shared);
const handOver = way === 'ring' ? byRing(memory) : byPost(signals);
const { connection, reads } = await prepare(load, (frames) => {
  handOver.message(frames);
});
parentPort?.postMessage('prepared' satisfies Note);
Atomics.wait(signals, GO, 0);

const before = threadCpuNs();
for (const read of reads) {
  handOver.begin(read);
  connection.receive(read, 0);
  handOver.finish();
  if (oneByOne) handOver.waitUntilTaken();
}
parentPort?.postMessage({ cpuNs: threadCpuNs() - before } satisfies Note);
