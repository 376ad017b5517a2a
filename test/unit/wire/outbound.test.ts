import { describe, expect, it } from '@jest/globals';

import { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import {
  type ReturnPath,
  writeClientReply,
  writeWorkerDisconnect,
  writeWorkerHeartbeat,
  writeWorkerRequest,
  writeWorkerRequestWithHeaders,
} from '../../../src/wire/outbound.js';
import { asRead } from '../../support/packed-frames.js';
import { bytesOf, type FrameText, scattered, textsOf } from './layouts.js';
import { Recorder } from './recorder.js';

const PEER = 7;

/** As the broker keeps it: somewhere in a larger buffer. */
function packedInside(message: readonly FrameText[], open: boolean) {
  const frames = scattered(message);
  const start = 5;
  const bytes = Buffer.alloc(start + packedBytes(frames, 0, frames.count) + 5, 0xff);
  const end = pack(frames, 0, frames.count, bytes, start, open);
  return { bytes, start, end };
}

function pathOf(version: 1 | 2, envelope: FrameText[] | null): ReturnPath {
  const { bytes, start, end } = packedInside(envelope ?? [], true);
  return {
    dialect: version,
    enveloped: envelope !== null,
    envelope: new Words(bytes),
    envelopeStart: start,
    envelopeEnd: end,
  };
}

function replySent(path: ReturnPath, final: boolean, frames: Frames, from: number): FrameText[] {
  const out = new Recorder();
  writeClientReply(out, PEER, path, final, bytesOf('echo'), frames, from);
  return textsOf(out.only(PEER));
}

describe('What a broker sends to a worker', () => {
  const long = 'x'.repeat(300);

  it.each([
    [1, ['', 'MDPW01', '\x02', 'token', '', 'a', '', long]],
    [2, ['MDPW02', '\x02', 'token', '', 'a', '', long]],
  ] satisfies [1 | 2, FrameText[]][])(
    'is in 0.%d a REQUEST with token, empty frame and body (§3, D7)',
    (version, sent) => {
      const { bytes, start, end } = packedInside(['a', '', long], false);
      const out = new Recorder();
      writeWorkerRequest(
        out,
        PEER,
        version,
        new Words(bytesOf('token')),
        new Words(bytes),
        start,
        end,
      );
      expect(textsOf(out.only(PEER))).toEqual(sent);
    },
  );

  it.each([
    [1, 5000, ['', 'MDPW01', '\x09', 'token', '', '5000', '{"a":"b"}', 'a', '', long]],
    [2, 2147483647, ['MDPW02', '\x09', 'token', '', '2147483647', '{"a":"b"}', 'a', '', long]],
    [2, 0, ['MDPW02', '\x09', 'token', '', '', '{"a":"b"}', 'a', '', long]],
  ] satisfies [1 | 2, number, FrameText[]][])(
    'is in 0.%d, with %d ms left, a REQUEST with deadline and headers (D67)',
    (version, leftMs, sent) => {
      const { bytes, start, end } = packedInside(['{"a":"b"}', 'a', '', long], false);
      const out = new Recorder();
      const token = new Words(bytesOf('token'));
      const rest = new Words(bytes);
      writeWorkerRequestWithHeaders(out, PEER, version, token, leftMs, rest, start, end);
      expect(textsOf(out.only(PEER))).toEqual(sent);
    },
  );

  it.each([
    [1, ['', 'MDPW01', '\x04'], ['', 'MDPW01', '\x05']],
    [2, ['MDPW02', '\x05'], ['MDPW02', '\x06']],
  ] satisfies [1 | 2, FrameText[], FrameText[]][])(
    'is in 0.%d HEARTBEAT and DISCONNECT (§3)',
    (version, heartbeat, disconnect) => {
      const beat = new Recorder();
      writeWorkerHeartbeat(beat, PEER, version);
      expect(textsOf(beat.only(PEER))).toEqual(heartbeat);
      const end = new Recorder();
      writeWorkerDisconnect(end, PEER, version);
      expect(textsOf(end.only(PEER))).toEqual(disconnect);
    },
  );
});

describe('What a broker sends to a client', () => {
  const long = 'x'.repeat(300);

  it.each([
    [1, ['id', '', 'MDPC01', 'echo', 'a', '', long]],
    [2, ['id', '', 'MDPC02', '\x03', 'echo', 'a', '', long]],
  ] satisfies [1 | 2, FrameText[]][])(
    'has in 0.%d the same body if that lies packed in the message of its worker',
    (version, sent) => {
      const reply = asRead(scattered(['MDPW02', '\x04', 'token', '', 'a', '', long]));
      expect(replySent(pathOf(version, ['id']), true, reply, 4)).toEqual(sent);
    },
  );

  const body = scattered(['skipped', 'a', '', 'c']);

  it('is in 0.1 one reply after the bare delimiter (§2)', () => {
    expect(replySent(pathOf(1, []), true, body, 1)).toEqual(['', 'MDPC01', 'echo', 'a', '', 'c']);
  });

  it('is in 0.2 PARTIAL as 0x02 and FINAL as 0x03, in the form of the request (§2, D2)', () => {
    const tail = ['echo', 'a', '', 'c'];
    expect(replySent(pathOf(2, null), false, body, 1)).toEqual(['MDPC02', '\x02', ...tail]);
    expect(replySent(pathOf(2, null), true, body, 1)).toEqual(['MDPC02', '\x03', ...tail]);
    expect(replySent(pathOf(2, []), true, body, 1)).toEqual(['', 'MDPC02', '\x03', ...tail]);
    expect(replySent(pathOf(2, ['id']), false, body, 1)).toEqual([
      'id',
      '',
      'MDPC02',
      '\x02',
      ...tail,
    ]);
  });

  it('writes the body from the buffers that it came in, without a copy', () => {
    const buffers: Uint8Array[] = [];
    const out = {
      room: () => null,
      write: (_peer: number, bytes: Uint8Array): void => {
        buffers.push(bytes);
      },
      writePacked: (): void => undefined,
      writeLasting: (): void => undefined,
    };
    const source = bytesOf('..body..');
    const frames = new Frames();
    frames.push(source, 2, 6);
    writeClientReply(out, PEER, pathOf(2, null), true, bytesOf('echo'), frames, 0);
    expect(buffers.at(-1) === source).toBe(true);
  });
});
