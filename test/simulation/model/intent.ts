/**
 * What the sender of a message means by it. It travels beside the frames, so that the model knows
 * the truth without parsing the wire, and can check the broker, which sees only the frames.
 */
import type { Failure } from '../../../src/wire/failure.js';
import type { Metadata } from '../../../src/wire/client-side.js';
import type { MalformedKind } from '../../../src/wire/inbound.js';
import type { MdpVersion } from '../../../src/wire/mdp.js';

/** The kinds of workers: MDP's versions, and the pirates (D32). */
export type PirateKind = 'spp' | 'ppp';
export type WorkerKind = MdpVersion | PirateKind;
/** The kinds of clients: MDP's versions, plain ones (D30) and Freelance (D37). */
export type PlainKind = 'plain' | 'flp';
export type ClientKind = MdpVersion | PlainKind;

export interface RequestIntent {
  readonly kind: 'request';
  readonly version: ClientKind;
  readonly enveloped: boolean;
  readonly envelope: readonly Buffer[];
  readonly service: string;
  readonly body: readonly Buffer[];
  /** Sent with headers (D67): never with both empty. */
  readonly metadata?: Metadata | null;
  /** At most one worker may run it (D117). */
  readonly once?: boolean;
}

export interface ReadyIntent {
  readonly kind: 'ready';
  readonly version: WorkerKind;
  readonly service: string;
  readonly credit: number | null;
  /** It asks for headers. */
  readonly headers?: boolean;
  /** It asks for CANCEL. */
  readonly cancel?: boolean;
  /** A pirate: READY is a word. */
  readonly words?: boolean;
}

export interface ReplyIntent {
  readonly kind: 'final' | 'partial';
  readonly version: WorkerKind;
  /** As Latin-1. */
  readonly token: string;
  readonly body: readonly Buffer[];
}

/** D60: what the broker must make of it: the failure as received, or `mdp.invalid-failure`. */
export interface FailIntent {
  readonly kind: 'fail';
  readonly version: MdpVersion;
  readonly token: string;
  readonly failure: Failure;
}

export interface ReturnIntent {
  readonly kind: 'return';
  readonly version: MdpVersion;
  readonly token: string;
  /** It says that it did not begin the request. */
  readonly unbegun?: boolean;
}

/** It wants no more requests (D117). */
export interface LeaveIntent {
  readonly kind: 'leave';
  readonly version: MdpVersion;
}

export interface SignalIntent {
  readonly kind: 'heartbeat' | 'disconnect';
  readonly version: WorkerKind;
}

/** 10/FLP */
export interface PingIntent {
  readonly kind: 'ping';
  /** The name of the request that it is, for an oracle that follows those. */
  readonly asks?: string;
}

export interface MalformedIntent {
  readonly kind: 'malformed';
  readonly as: MalformedKind;
}

export type Intent =
  | RequestIntent
  | ReadyIntent
  | ReplyIntent
  | FailIntent
  | ReturnIntent
  | LeaveIntent
  | SignalIntent
  | PingIntent
  | MalformedIntent;

/** A message on its way to the broker. */
export interface Sent {
  readonly frames: readonly Uint8Array[];
  readonly intent: Intent;
}

/** A message on its way from the broker. */
export type Delivered = readonly Buffer[];
