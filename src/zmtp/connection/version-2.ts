/**
 * The greeting of ZMTP 2.0 (15/ZMTP), which peers with libzmq 3 or JeroMQ 0.3 send. It has no
 * security mechanism and no commands; its frames are those of ZMTP 3.
 */
import { type Metadata, metadataFault, type SocketType } from './commands.js';

/** Where ZMTP 3 has its major version. */
const REVISION_AT = 10;
const REVISION = 1;
const TYPE_AT = 11;
const IDENTITY_SIZE_AT = 13;
const IDENTITY_AT = 14;

/** The types of sockets, in the order of their numbers. */
const SOCKET_TYPES = [
  'PAIR',
  'PUB',
  'SUB',
  'REQ',
  'REP',
  'DEALER',
  'ROUTER',
  'PULL',
  'PUSH',
] as const;

/** Whether a greeting that has no fault, or what has arrived of it, is one of ZMTP 2.0. */
export function isVersion2(bytes: Buffer): boolean {
  return bytes[REVISION_AT] === REVISION;
}

/** What a socket sends instead of the rest of a greeting of ZMTP 3: its type and its identity. */
export function restOfGreeting2(socketType: SocketType, identity: Buffer): Buffer {
  const head = [SOCKET_TYPES.indexOf(socketType), 0, identity.length];
  return Buffer.concat([Buffer.from(head), identity]);
}

interface Greeting2 {
  readonly metadata: Metadata;
  readonly bytes: number;
}

/**
 * @param own the type of this socket
 * @returns `null` if it is incomplete; a text: what is wrong
 */
export function readGreeting2(bytes: Buffer, own: SocketType): Greeting2 | string | null {
  const type = bytes[TYPE_AT];
  if (type === undefined) return null;
  const socketType = SOCKET_TYPES[type];
  if (socketType === undefined) return `ZMTP 2.0 has no socket of type ${type}`;
  if ((bytes[TYPE_AT + 1] ?? 0) !== 0) return 'no identity in the greeting of ZMTP 2.0';
  const end = IDENTITY_AT + (bytes[IDENTITY_SIZE_AT] ?? 0);
  if (bytes.length < end) return null;
  const metadata = { socketType, identity: Buffer.from(bytes.subarray(IDENTITY_AT, end)) };
  return metadataFault(own, metadata) ?? { metadata, bytes: end };
}
