/**
 * What peers of listeners for one service send (D30, D32, D37): read totally, as docs/protocol.md
 * says and however the frames lie, and written back frame for frame.
 */
import { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { BARE, DELIMITED } from '../../../src/wire/dialect.js';
import { readFreelance } from '../../../src/wire/flp.js';
import { Inbound } from '../../../src/wire/inbound.js';
import { MessageWriter } from '../../../src/wire/outbound.js';
import { pirateDialect, readPirateWorker, readPlainRequest } from '../../../src/wire/pirate.js';
import { asRead } from '../../support/packed-frames.js';
import { Recorder } from '../../unit/wire/recorder.js';
import { check, type Target } from '../target.js';
import { framesIn, inputOf } from './codec.js';

const SERVICE = Buffer.from('echo');
const TOKEN = '\x07'.repeat(13);
const IDS_MAX = 8;
/** What precedes the token in a REQUEST. */
const REQUEST_HEADS: Readonly<Record<1 | 2 | typeof DELIMITED | typeof BARE, readonly string[]>> = {
  1: ['', 'MDPW01', '\x02'],
  2: ['MDPW02', '\x02'],
  [DELIMITED]: [''],
  [BARE]: [],
};

type Sender = 'plain' | 'freelance' | 'worker';
const SENDERS: readonly Sender[] = ['plain', 'freelance', 'worker'];

/** Frames as text, one character a byte. */
type Texts = readonly string[];

interface Meaning {
  readonly kind: string;
  /** What a reply begins with, or the token of one. */
  readonly before?: Texts;
  readonly body?: Texts;
}

const MALFORMED: Meaning = { kind: 'malformed' };

/** The tables of docs/protocol.md. */
function meaningOf(sender: Sender, frames: Texts): Meaning {
  if (sender === 'plain') {
    const ids = frames.indexOf('');
    if (ids < 0 || ids > IDS_MAX || ids === frames.length - 1) return MALFORMED;
    return { kind: 'request', before: frames.slice(0, ids + 1), body: frames.slice(ids + 1) };
  }
  if (sender === 'freelance') {
    if (frames.length === 1) return frames[0] === 'PING' ? { kind: 'ping' } : MALFORMED;
    return { kind: 'request', before: frames.slice(0, 1), body: frames.slice(1) };
  }
  const isSimple = frames[0] === '';
  const said = isSimple ? frames.slice(1) : frames;
  const [first, second] = said;
  const [signal] = said.length === 1 ? said : [];
  if (signal === '\x01' || signal === 'READY') return { kind: 'ready' };
  const isHeartbeat = signal === '\x02' || signal === 'HEARTBEAT';
  if (isHeartbeat && !isSimple) return { kind: 'heartbeat' };
  if (said.length < 3 || second !== '') return MALFORMED;
  return { kind: 'final', before: [first ?? ''], body: said.slice(2) };
}

function textsOf(frames: Frames, from = 0, to = frames.count): Texts {
  return frames
    .copyFrom(0)
    .slice(from, to)
    .map((frame) => frame.toString('latin1'));
}

function same(one: unknown, other: unknown, what: string): void {
  const [left, right] = [JSON.stringify(one), JSON.stringify(other)];
  check(left === right, `${what}: ${left} and ${right}`);
}

function read(sender: Sender, frames: Frames, inbound: Inbound): void {
  inbound.begin(frames);
  if (sender === 'plain') readPlainRequest(inbound, frames, SERVICE);
  else if (sender === 'freelance') readFreelance(inbound, frames, SERVICE);
  else readPirateWorker(inbound, pirateDialect(frames), frames, SERVICE);
}

function run(input: Buffer): void {
  const sender = SENDERS[(input[0] ?? 0) % SENDERS.length] ?? 'plain';
  const bytes = framesIn(input.subarray(1));
  if (bytes.length === 0) return;
  const meaning = meaningOf(
    sender,
    bytes.map((frame) => frame.toString('latin1')),
  );
  // A reader is used again and again: what it read before leaves no trace.
  const used = new Inbound();
  used.read(Frames.of('id', '', 'MDPC02', '\x04', 'other', '5000', '{}', 'x'));
  for (const frames of [Frames.of(...bytes), asRead(Frames.of(...bytes))]) {
    for (const inbound of [new Inbound(), used]) isRead(sender, frames, inbound, meaning);
  }
  if (sender !== 'worker') return;
  // A connection keeps its form (D32): in the other one the message is malformed.
  const frames = Frames.of(...bytes);
  const other = pirateDialect(frames) === BARE ? DELIMITED : BARE;
  used.begin(frames);
  readPirateWorker(used, other, frames, SERVICE);
  check(used.kind === 'malformed', `a message in the other form is ${used.kind}`);
}

function isRead(sender: Sender, frames: Frames, inbound: Inbound, meaning: Meaning): void {
  read(sender, frames, inbound);
  same(inbound.kind, meaning.kind, 'a message is read as another');
  const all = inbound.frames;
  if (inbound.kind === 'request') {
    same(textsOf(all, inbound.body), meaning.body, 'the body of a request');
    check(all.view(inbound.service).equals(SERVICE), 'a request is for another service');
    check(inbound.headers < 0, 'a request has headers');
    toWorkers(inbound, meaning.body ?? []);
    toClient(inbound, meaning.before ?? []);
  } else if (inbound.kind === 'final') {
    same([textsOf(all)[inbound.token]], meaning.before, 'the token of a reply');
    same(textsOf(all, inbound.body), meaning.body, 'the body of a reply');
  } else if (inbound.kind === 'ready') {
    check(all.view(inbound.service).equals(SERVICE), 'READY is for another service');
    check(inbound.credit === 1 && !inbound.declaresCredit, 'READY states a credit');
  } else if (inbound.kind === 'malformed') {
    const isRight = sender === 'worker' ? inbound.fault.kind === 'worker' : true;
    check(isRight && inbound.fault.reason.length > 0, 'a malformed message is not explained');
  }
}

function toWorkers({ frames, body }: Inbound, bodies: Texts): void {
  const packed = Buffer.alloc(packedBytes(frames, body, frames.count));
  pack(frames, body, frames.count, packed, 0, false);
  const token = new Words(Buffer.from(TOKEN, 'latin1'));
  for (const to of [1, 2, DELIMITED, BARE] as const) {
    const recorder = new Recorder();
    new MessageWriter(recorder).request(3, to, token, new Words(packed), 0, packed.length);
    const sent = textsOf(recorder.only(3));
    same(sent, [...REQUEST_HEADS[to], TOKEN, '', ...bodies], `a REQUEST in the form ${to}`);
    if (to !== DELIMITED && to !== BARE) continue;
    // What a pirate sends back unchanged is its reply (D32).
    const reply = new Inbound();
    reply.begin(recorder.only(3));
    readPirateWorker(reply, to, reply.frames, SERVICE);
    check(reply.kind === 'final', `a REQUEST sent back is ${reply.kind}`);
  }
}

/** The request's own body is the reply. */
function toClient(inbound: Inbound, before: Texts): void {
  const { frames, dialect, enveloped, envelopeFrames, body } = inbound;
  const envelope = Buffer.alloc(packedBytes(frames, 0, envelopeFrames));
  pack(frames, 0, envelopeFrames, envelope, 0, true);
  const words = new Words(envelope);
  const ends = { envelopeStart: 0, envelopeEnd: envelope.length };
  const path = { dialect, enveloped, envelope: words, ...ends };
  const bodies = frames.copyFrom(body);
  for (const each of [Frames.of(...bodies), asRead(Frames.of(...bodies))]) {
    const recorder = new Recorder();
    new MessageWriter(recorder).reply(5, path, true, SERVICE, each, 0);
    const expected = [...before, ...bodies.map((frame) => frame.toString('latin1'))];
    same(textsOf(recorder.only(5)), expected, 'a reply');
  }
}

export function pirates(): Target {
  const from = (sender: Sender, ...frames: readonly string[]): Buffer =>
    Buffer.concat([Buffer.from([SENDERS.indexOf(sender)]), inputOf(frames)]);
  return {
    name: 'pirates',
    words: [
      '\x00',
      '\x01\x01',
      '\x01\x02',
      '\x04PING',
      '\x05READY',
      '\x09HEARTBEAT',
      '\x06MDPC01',
      '\x05token\x00',
    ],
    bytesMax: 1024,
    seeds: [
      from('plain', '', 'hi'),
      from('plain', 'id', 'hop', '', 'a', '', 'b'),
      from('plain', '1', '2', '3', '4', '5', '6', '7', '8', '', 'x'),
      from('plain', '', 'x'.repeat(200), 'y'.repeat(255)),
      from('freelance', 'PING'),
      from('freelance', '\0\0\0\x01', 'hi', ''),
      from('freelance', '', 'x'),
      from('worker', '', '\x01'),
      from('worker', '\x01'),
      from('worker', '\x02'),
      from('worker', 'READY'),
      from('worker', '', 'READY'),
      from('worker', 'HEARTBEAT'),
      from('worker', '', 'token', '', 'a', ''),
      from('worker', 'token', '', 'a', 'b'),
    ],
    run,
  };
}
