import fc from 'fast-check';

import { Frames } from '../../../src/core/frames.js';
import { isPackedFrames, unpack } from '../../../src/core/packed.js';
import { type StepMessage, StepMessages } from '../../../src/extensions/events/step-messages.js';
import { STREAM_HEADER_BYTES } from '../../../src/wire/stream.js';

/** Topic and body of a message; its header is where it says. */
function read(message: StepMessage): [string, string] {
  const { words, size, headerAt } = message;
  const bytes = Buffer.from(words.bytes.subarray(0, size));
  expect(isPackedFrames(bytes)).toBe(true);
  const frames = new Frames();
  unpack(bytes, 0, size, frames);
  expect([frames.count, frames.start(1), frames.size(1)]).toEqual([
    3,
    headerAt,
    STREAM_HEADER_BYTES,
  ]);
  return [frames.view(0).toString(), frames.view(2).toString()];
}

const number = fc.oneof(
  fc.nat(),
  fc.constantFrom(0, 9, 10, 99, 100, 999_999_999, 1_000_000_000, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);

describe('the message of a step of a request', () => {
  it('is what JSON.stringify writes', () => {
    const messages = new StepMessages();
    const service = fc.string({ maxLength: 40, unit: 'binary-ascii' });
    fc.assert(
      fc.property(number, number, number, service, (request, worker, delivery, name) => {
        const received = { event: 'request.received', request, service: name };
        const made = messages.received(request, name);
        expect(made === null ? null : read(made)).toEqual([
          received.event,
          JSON.stringify(received),
        ]);
        const dispatched = { event: 'request.dispatched', request, worker, delivery };
        const step = { name: 'request.dispatched', worker, delivery } as const;
        expect(read(messages.dispatched(request, step))).toEqual([
          dispatched.event,
          JSON.stringify(dispatched),
        ]);
        const replied = { event: 'request.replied', request };
        expect(read(messages.replied(request))).toEqual([replied.event, JSON.stringify(replied)]);
      }),
    );
  });

  it('is left to others if the name of the service does not fit', () => {
    const messages = new StepMessages();
    const fits = Array.from({ length: 255 }, (_, size) => messages.received(1, 'x'.repeat(size)))
      .map((message) => message !== null)
      .lastIndexOf(true);
    const longest = JSON.stringify({
      event: 'request.received',
      request: 1,
      service: 'x'.repeat(fits),
    });
    expect(longest).toHaveLength(255);
    const message = messages.received(1, 'x'.repeat(fits));
    expect(message === null ? null : read(message)[1]).toBe(longest);
  });

  it('of one service after many others is still right', () => {
    const messages = new StepMessages();
    for (let at = 0; at < 3000; at++) messages.received(at, `service ${at}`);
    const message = messages.received(7, 'service 1');
    expect(message === null ? null : read(message)[1]).toContain(
      '"request":7,"service":"service 1"',
    );
  });
});
