/**
 * What peers of a listener for one service send: plain clients (REQ), Simple Pirate workers (REQ)
 * and Paranoid Pirate workers (6/PPP). (The Guide, chapter 4; docs/protocol.md, Listeners for
 * one service.)
 *
 * The name of the service is in no message. It is put into a request and a READY as a frame, so that
 * the broker finds it where MDP has it.
 */
import type { Frames } from '../core/frames.js';
import { BARE, DELIMITED, type Dialect, type ServiceDialect, WORDS } from './dialect.js';
import type { Inbound } from './inbound.js';
import { ENVELOPE_FRAMES_MAX } from './mdp.js';

/** Signals of workers, messages of one frame: a byte, or in some of the Guide's languages a word. */
const READY: Buffer = Buffer.from([0x01]);
const READY_WORD: Buffer = Buffer.from('READY');
/** What a Paranoid Pirate is sent as a heartbeat. */
export const PIRATE_HEARTBEAT: Buffer = Buffer.from([0x02]);
/** What a Paranoid Pirate is sent that said READY in a word. */
export const PIRATE_HEARTBEAT_WORD: Buffer = Buffer.from('HEARTBEAT');

/** Adds the frames `[from, to)` of `frames` to `target`. */
function append(target: Frames, frames: Frames, from: number, to: number): void {
  for (let index = from; index < to; index++) {
    target.push(frames.buffer(index), frames.start(index), frames.end(index));
  }
}

/**
 * Makes `inbound` a request: the first `envelopeFrames` frames of `frames`, the service, and the
 * frames from `body` on.
 */
export function setRequest(
  inbound: Inbound,
  dialect: Dialect,
  frames: Frames,
  envelopeFrames: number,
  body: number,
  service: Buffer,
): void {
  const { named } = inbound;
  named.clear();
  append(named, frames, 0, envelopeFrames);
  named.push(service, 0, service.length);
  append(named, frames, body, frames.count);
  inbound.kind = 'request';
  inbound.dialect = dialect;
  inbound.frames = named;
  inbound.envelopeFrames = envelopeFrames;
  inbound.enveloped = true;
  inbound.service = envelopeFrames;
  inbound.headers = -1;
  inbound.body = envelopeFrames + 1;
}

/** Reads a plain client's message: `[id]* [empty] body+` with at most eight ids. */
export function readPlainRequest(inbound: Inbound, frames: Frames, service: Buffer): void {
  const until = Math.min(frames.count, ENVELOPE_FRAMES_MAX + 1);
  let delimiter = 0;
  while (delimiter < until && frames.size(delimiter) !== 0) delimiter++;
  if (delimiter === until) {
    inbound.reject('envelope', 0, 'one of the first nine frames must be the empty delimiter');
  } else if (delimiter + 1 === frames.count) {
    inbound.reject('client', frames.count, 'a request must have a body');
  } else {
    setRequest(inbound, DELIMITED, frames, delimiter, delimiter + 1, service);
  }
}

/** The form in which a worker speaks, from its first message. */
export function pirateDialect(frames: Frames): ServiceDialect {
  return frames.size(0) === 0 ? DELIMITED : BARE;
}

/**
 * Reads a worker's message: a signal, or a reply `token, empty, body+`; each after an empty delimiter
 * if the worker is a Simple Pirate.
 */
export function readPirateWorker(
  inbound: Inbound,
  dialect: ServiceDialect,
  frames: Frames,
  service: Buffer,
): void {
  inbound.dialect = dialect;
  const isSimple = dialect === DELIMITED;
  const first = isSimple ? 1 : 0;
  if (isSimple !== (frames.size(0) === 0)) {
    const [must, did] = isSimple ? ['must', 'did'] : ['must not', 'did not'];
    const rule = `a message ${must} begin with an empty frame, since the first one ${did}`;
    inbound.reject('worker', 0, rule);
  } else if (frames.count === first + 1) {
    readSignal(inbound, frames, first, service);
  } else if (frames.count < first + 3 || frames.size(first + 1) !== 0) {
    inbound.reject('worker', first + 1, 'a reply must be token, empty frame, body');
  } else {
    inbound.kind = 'final';
    inbound.token = first;
    inbound.body = first + 2;
  }
}

function readSignal(inbound: Inbound, frames: Frames, at: number, service: Buffer): void {
  const isBare = inbound.dialect === BARE;
  if (frames.equals(at, READY)) {
    setReady(inbound, inbound.dialect, service);
  } else if (frames.equals(at, READY_WORD)) {
    setReady(inbound, isBare ? WORDS : DELIMITED, service);
  } else if (
    isBare &&
    (frames.equals(at, PIRATE_HEARTBEAT) || frames.equals(at, PIRATE_HEARTBEAT_WORD))
  ) {
    inbound.kind = 'heartbeat';
  } else {
    inbound.reject('worker', at, 'a message of one frame must be a signal');
  }
}

/** Makes `inbound` the READY of a worker that takes one request at a time. */
export function setReady(inbound: Inbound, dialect: Dialect, service: Buffer): void {
  const { named } = inbound;
  named.clear();
  named.push(service, 0, service.length);
  inbound.kind = 'ready';
  inbound.dialect = dialect;
  inbound.frames = named;
  inbound.service = 0;
  inbound.credit = 1;
  inbound.declaresCredit = false;
  inbound.workerName = null;
  inbound.wantsHeaders = false;
  inbound.wantsCancel = false;
  inbound.contract = -1;
}
