/** The SDK where other programs have replaced globals, or move buffers to threads. */
import { MessageChannel } from 'node:worker_threads';

import { bodyFrames, frameList, isFrame } from '../../../src/sdk/body.js';
import { ReceivedMessage } from '../../../src/sdk/message.js';
import { Slab } from '../../../src/sdk/slab.js';
import { Frames } from '../../../src/core/frames.js';

describe('a body', () => {
  it('is one frame or several, whatever the global Uint8Array is', () => {
    const original = globalThis.Uint8Array;
    const body = bodyFrames('x');
    const several = bodyFrames(['x', 'y']);
    Reflect.set(globalThis, 'Uint8Array', class Other extends original {});
    try {
      expect([isFrame(body), isFrame(several)]).toEqual([true, false]);
      expect([frameList(body).length, frameList(several).length]).toEqual([1, 2]);
      expect(bodyFrames(Buffer.from('z'))).toHaveLength(1);
    } finally {
      globalThis.Uint8Array = original;
    }
  });
});

describe('small messages share a buffer', () => {
  it('that cannot be moved to a thread with one of them', () => {
    const slab = new Slab();
    slab.reserve(10);
    const message = ReceivedMessage.copied('echo', null, Frames.of('x'), 0);
    const { port1, port2 } = new MessageChannel();
    for (const bytes of [slab.bytes, ...message.frames]) {
      try {
        port1.postMessage(bytes, [bytes.buffer as ArrayBuffer]);
      } catch {
        // Later versions of Node refuse it, this one copies.
      }
      expect(bytes.buffer.byteLength).toBeGreaterThan(0);
    }
    port1.close();
    port2.close();
    expect(message.text()).toBe('x');
  });
});
