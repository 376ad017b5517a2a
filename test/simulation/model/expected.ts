/**
 * The messages that must be sent now according to the model, built by hand from the protocol's
 * tables.
 */
import type { MdpVersion } from '../../../src/wire/mdp.js';
import { hold } from '../world/failure.js';
import type { RequestIntent, WorkerKind } from './intent.js';

const EMPTY = Buffer.alloc(0);
const SHOWN_FRAMES_MAX = 12;

interface ExpectedMessage {
  readonly peer: number;
  readonly frames: readonly Buffer[];
  /** The last frame is a text for people. */
  readonly endsInText: boolean;
}

/** 7/MDP, 18/MDP, D30, D37: a reply has the form of its request. */
export function replyFrames(
  request: RequestIntent,
  final: boolean,
  service: string,
  body: readonly Buffer[],
): Buffer[] {
  if (request.version === 'plain') return [...request.envelope, EMPTY, ...body];
  if (request.version === 'flp') return [...request.envelope, ...body];
  const frames: Buffer[] = request.enveloped ? [...request.envelope, EMPTY] : [];
  frames.push(Buffer.from(request.version === 1 ? 'MDPC01' : 'MDPC02'));
  if (request.version === 2) frames.push(Buffer.from([final ? 3 : 2]));
  frames.push(Buffer.from(service, 'latin1'), ...body);
  return frames;
}

function workerFrames(version: MdpVersion, command01: number, command02: number): Buffer[] {
  return version === 1
    ? [EMPTY, Buffer.from('MDPW01'), Buffer.from([command01])]
    : [Buffer.from('MDPW02'), Buffer.from([command02])];
}

/** What precedes the token in a REQUEST to a worker. */
export function requestHead(kind: WorkerKind): Buffer[] {
  if (kind === 'spp') return [EMPTY];
  return kind === 'ppp' ? [] : workerFrames(kind, 2, 2);
}

/** CANCEL of a request (D106). */
export function cancelFrames(version: MdpVersion, token: Buffer): Buffer[] {
  return [...workerFrames(version, 10, 10), token, EMPTY];
}

/** HEARTBEAT to a worker; `null`: it is sent none (D35). */
export function heartbeatFrames(kind: WorkerKind, words: boolean): Buffer[] | null {
  if (kind === 'spp') return null;
  if (kind !== 'ppp') return workerFrames(kind, 4, 5);
  return [words ? Buffer.from('HEARTBEAT') : Buffer.from([2])];
}

export function sameFrames(left: readonly Buffer[], right: readonly Buffer[]): boolean {
  return left.length === right.length && left.every((frame, i) => right[i]?.equals(frame) === true);
}

export class Expected {
  readonly #messages: ExpectedMessage[] = [];
  readonly #closes = new Set<number>();

  message(peer: number, frames: readonly Buffer[], endsInText = false): void {
    this.#messages.push({ peer, frames, endsInText });
  }

  disconnect(peer: number, version: MdpVersion): void {
    this.message(peer, workerFrames(version, 5, 6));
  }

  close(peer: number): void {
    this.#closes.add(peer);
  }

  /** @returns false if no such message was expected */
  take(peer: number, frames: readonly Buffer[]): boolean {
    const index = this.#messages.findIndex((each) => each.peer === peer && isLike(each, frames));
    if (index < 0) return false;
    this.#messages.splice(index, 1);
    return true;
  }

  takeClose(peer: number): void {
    hold(this.#closes.delete(peer), `peer ${peer} is closed without need`);
  }

  settle(): void {
    const missing = this.#messages[0];
    if (missing !== undefined) {
      hold(false, `peer ${missing.peer} is not sent ${show(missing.frames)}`);
    }
    for (const peer of this.#closes) hold(false, `peer ${peer} is not closed`);
  }
}

function isLike(expected: ExpectedMessage, frames: readonly Buffer[]): boolean {
  if (expected.frames.length !== frames.length) return false;
  const last = frames.length - 1;
  return expected.frames.every((frame, index) => {
    const actual = frames[index] ?? EMPTY;
    return index === last && expected.endsInText ? actual.length > 0 : frame.equals(actual);
  });
}

export function show(frames: readonly Buffer[]): string {
  const shown = frames
    .slice(0, SHOWN_FRAMES_MAX)
    .map((frame) => JSON.stringify(frame.toString('latin1')));
  return `[${shown.join(', ')}]`;
}
