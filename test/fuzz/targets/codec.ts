/** MDP's codec, both sides: total, the same however the frames lie, and its own inverse. */
import { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { Inbound } from '../../../src/wire/inbound.js';
import { EMPTY, type MdpVersion } from '../../../src/wire/mdp.js';
import {
  clientRequest,
  clientRequestWithHeaders,
  clientRequestWithOptions,
} from '../../../src/wire/client-side.js';
import { MessageWriter } from '../../../src/wire/outbound.js';
import { readWorkerInbound, workerReady } from '../../../src/wire/worker-side.js';
import { asRead } from '../../support/packed-frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { atBroker, atClient, atWorker } from '../../unit/wire/readers.js';
import { textOf, textsOf } from '../../unit/wire/layouts.js';
import { Recorder } from '../../unit/wire/recorder.js';
import { check, type Target } from '../target.js';

export const MDP_WORDS: readonly string[] = [
  'MDPC01',
  'MDPC02',
  'MDPW01',
  'MDPW02',
  '\x06MDPC02\x01\x01\x04echo',
  '\x06MDPC01\x04echo',
  '\x06MDPW02\x01\x01\x04echo',
  '\x00\x06MDPW01\x01\x01\x04echo',
  '\x0bmmi.service',
  '\x0cmmi.services',
  '\x09mmi.hello',
  '\x02{}',
  '\x0c{"name":"w"}',
  '\x10{"headers":true}',
  '\x06MDPC02\x01\x04\x04echo\x041000\x09{"a":"b"}',
  '\x06MDPC02\x01\x05\x04echo\x0d{"once":true}\x00\x041000\x00',
  '\x06MDPW02\x01\x09',
  '\x06MDPW02\x01\x0c\x04echo\x01g\x013',
  '\x0a2147483647',
  '\x0510000',
];

/** Frames: a byte that is their length, then they themselves. */
export function framesIn(input: Buffer, most = 64): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < input.length && frames.length < most;) {
    const size = input[at] ?? 0;
    frames.push(input.subarray(at + 1, at + 1 + size));
    at += 1 + size;
  }
  return frames;
}

export function inputOf(frames: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    frames.map((frame) => {
      const bytes = typeof frame === 'string' ? Buffer.from(frame, 'latin1') : frame;
      return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    }),
  );
}

function same(one: unknown, other: unknown, what: string): void {
  const [left, right] = [JSON.stringify(one), JSON.stringify(other)];
  check(left === right, `${what}: ${left} and ${right}`);
}

function run(input: Buffer): void {
  const bytes = framesIn(input);
  if (bytes.length === 0) return;
  const frames = Frames.of(...bytes);
  const read = atBroker(frames);
  same(read, atBroker(asRead(frames)), 'packed frames are read otherwise');
  for (const each of [frames, asRead(frames)]) {
    atClient(each);
    atWorker(1, each);
    atWorker(2, each);
  }
  const inbound = new Inbound();
  inbound.read(frames);
  // The other forms of MDP are read, and written by no encoder here.
  if (inbound.dialect !== 1 && inbound.dialect !== 2) return;
  if (inbound.kind === 'request') roundTrip(frames, inbound);
  else if (inbound.kind === 'ready') readyAgain(frames, inbound);
}

function mdpVersion({ dialect }: Inbound): MdpVersion {
  if (dialect !== 1 && dialect !== 2) throw new Error(`a message was read as dialect ${dialect}`);
  return dialect;
}

function readyAgain(frames: Frames, inbound: Inbound): void {
  const version = mdpVersion(inbound);
  const { service, credit, declaresCredit, workerName: name, wantsHeaders } = inbound;
  check(name === null || (Array.from(name).length <= 64 && name !== ''), 'a name is not cut');
  const stated = declaresCredit ? credit : null;
  const again = workerReady(version, frames.copy(service), stated, {
    name,
    headers: wantsHeaders,
  });
  same(atBroker(Frames.of(...again)), atBroker(frames), 'a READY is another when written');
}

/** What was accepted means the same when it is written again. */
function roundTrip(frames: Frames, inbound: Inbound): void {
  const version = mdpVersion(inbound);
  const { envelopeFrames, enveloped, service, body } = inbound;
  const bodies = frames.copyFrom(body);
  if (envelopeFrames <= 1 && (envelopeFrames === 1 || !enveloped || version === 1)) {
    const correlation = envelopeFrames === 1 ? frames.copy(0) : null;
    const { headers, options, deadlineMs } = inbound;
    const name = frames.copy(service);
    const metadata = { deadlineMs, headers: headers < 0 ? EMPTY : frames.copy(headers) };
    let again = clientRequest(version, correlation, name, bodies);
    // A group is written by no encoder here.
    if (options >= 0 && frames.size(options + 1) === 0) {
      const said = frames.copy(options);
      again = clientRequestWithOptions(correlation, name, said, metadata, bodies);
    } else if (options < 0 && headers >= 0) {
      again = clientRequestWithHeaders(correlation, name, metadata, bodies);
    } else if (options >= 0) {
      again = frames.copyFrom(0);
    }
    same(atBroker(Frames.of(...again)), atBroker(frames), 'a request is another when written');
  }
  const packed = Buffer.alloc(packedBytes(frames, body, frames.count));
  pack(frames, body, frames.count, packed, 0, false);
  const token = new Words(Buffer.alloc(8, 7));
  for (const to of [1, 2] as const) {
    const recorder = new Recorder();
    new MessageWriter(recorder).request(3, to, token, new Words(packed), 0, packed.length);
    const told = atWorker(to, recorder.only(3)) as { kind: string; body?: unknown };
    check(told.kind === 'request', 'a REQUEST is none to its worker');
    same(told.body, bodies.map(textOf), 'a body is another');
  }
  if (inbound.headers >= 0) withHeaders(frames, inbound, token);
  const envelope = Buffer.alloc(packedBytes(frames, 0, envelopeFrames));
  pack(frames, 0, envelopeFrames, envelope, 0, true);
  const path = {
    dialect: version,
    enveloped,
    envelope: new Words(envelope),
    envelopeStart: 0,
    envelopeEnd: envelope.length,
  } as const;
  for (const each of [Frames.of(...bodies), asRead(Frames.of(...bodies))]) {
    const recorder = new Recorder();
    new MessageWriter(recorder).reply(5, path, true, frames.view(service), each, 0);
    const reply = atClient(recorder.only(5)) as {
      kind: string;
      envelope?: unknown;
      body?: unknown;
    };
    check(reply.kind === 'final', `a reply is ${reply.kind} to its client`);
    // The whole envelope, and the body frame by frame (D1).
    same(reply.envelope, enveloped ? textsOf(frames, 0, envelopeFrames) : null, 'an envelope');
    same(reply.body, bodies.map(textOf), 'the body of a reply');
  }
}

/** Headers, deadline and body reach the worker as they are. */
function withHeaders(frames: Frames, { headers, deadlineMs, body }: Inbound, token: Words): void {
  const rest = Buffer.alloc(packedBytes(frames, headers, frames.count));
  pack(frames, headers, frames.count, rest, 0, false);
  for (const to of [1, 2] as const) {
    const recorder = new Recorder();
    const words = new Words(rest);
    new MessageWriter(recorder).requestWithHeaders(3, to, token, deadlineMs, words, 0, rest.length);
    const told = recorder.only(3);
    const at = readWorkerInbound(to, told);
    check(at.kind === 'request' && at.headers >= 0, 'a REQUEST with headers is none');
    const left = told.view(at.headers - 1).toString();
    check(left === (deadlineMs === 0 ? '' : String(deadlineMs)), 'a deadline is another');
    check(told.view(at.headers).equals(frames.view(headers)), 'headers are others');
    same(textsOf(told, at.body), frames.copyFrom(body).map(textOf), 'a body is another');
  }
}

export function codec(): Target {
  return {
    name: 'codec',
    words: MDP_WORDS,
    bytesMax: 1024,
    seeds: [
      inputOf(['MDPC02', '\x01', 'echo', 'hi']),
      inputOf(['', 'MDPC01', 'echo', 'a', 'b']),
      inputOf(['id', '', 'MDPC02', '\x01', 'echo', 'hi']),
      inputOf(['MDPC02', '\x04', 'echo', '5000', '{"a":"b"}', 'hi']),
      inputOf(['MDPC02', '\x05', 'echo', '{"once":true}', '', '5000', '{"a":"b"}', 'hi']),
      inputOf(['id', '', 'MDPC02', '\x04', 'echo', '', '{"a":"b"}', 'hi', '']),
      inputOf(['MDPW02', '\x01', 'echo', '5', '{"headers":true}']),
      inputOf(['MDPW02', '\x09', 'token', '', '5000', '{"a":"b"}', 'hi']),
      inputOf(['', 'MDPW01', '\x01', 'echo', '100']),
      inputOf(['MDPW02', '\x01', 'echo', '5', '{"name":"host:17","later":[1]}']),
      inputOf(['MDPW02', '\x04', 'token', '', 'body']),
      inputOf(['MDPW02', '\x07', 'token', '', 'why']),
      inputOf(['', 'MDPW01', '\x04']),
    ],
    run,
  };
}
