/** Commands of 23/ZMTP and 37/ZMTP: their bodies (name and data), and the metadata of READY. */

/** A command's data or a READY's property cannot be parsed. */
export const BROKEN: unique symbol = Symbol('broken');

/** The socket types of 23/ZMTP that this engine implements. */
export type SocketType = 'ROUTER' | 'DEALER' | 'PUB' | 'SUB';

/** The peers that each socket type may talk to (28/REQREP, 29/PUBSUB). */
const COMPATIBLE: Readonly<Record<SocketType, readonly string[]>> = {
  ROUTER: ['REQ', 'DEALER', 'ROUTER'],
  DEALER: ['REP', 'DEALER', 'ROUTER'],
  PUB: ['SUB', 'XSUB'],
  SUB: ['PUB', 'XPUB'],
};

/** Metadata of a connection, as its peer declared it. */
export interface Metadata {
  readonly socketType: string;
  /** The routing id that the peer declared; empty if it declared none. */
  readonly identity: Buffer;
}

const IDENTITY_BYTES_MAX = 255;

/** A command body: `size name data`. */
export function command(name: string, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1'), data]);
}

/** The name of a command, or '' if its body is too short for one. */
export function commandName(body: Buffer): string {
  const size = body[0] ?? 0;
  return body.length > size ? body.toString('latin1', 1, 1 + size) : '';
}

/** The part after the name; a view. */
export function commandData(body: Buffer): Buffer {
  return body.subarray(1 + (body[0] ?? 0));
}

/** The properties of a READY or INITIATE. */
export function metadata(socketType: SocketType, identity: Buffer): Buffer {
  return Buffer.concat([
    property('Socket-Type', Buffer.from(socketType)),
    property('Identity', identity),
  ]);
}

function property(name: string, value: Buffer): Buffer {
  const head = Buffer.alloc(1 + name.length + 4);
  head[0] = name.length;
  head.write(name, 1, 'latin1');
  head.writeUInt32BE(value.length, 1 + name.length);
  return Buffer.concat([head, value]);
}

/** Parses metadata; names are case-insensitive, unknown ones are ignored. */
export function readMetadata(bytes: Buffer): Metadata | typeof BROKEN {
  let socketType = '';
  let identity: Buffer = Buffer.alloc(0);
  let at = 0;
  while (at < bytes.length) {
    const nameBytes = bytes[at] ?? 0;
    const valueAt = at + 1 + nameBytes + 4;
    if (nameBytes === 0 || valueAt > bytes.length) return BROKEN;
    const name = bytes.toString('latin1', at + 1, at + 1 + nameBytes).toLowerCase();
    const end = valueAt + bytes.readUInt32BE(valueAt - 4);
    if (end > bytes.length) return BROKEN;
    const value = bytes.subarray(valueAt, end);
    if (name === 'socket-type') socketType = value.toString('latin1');
    if (name === 'identity') identity = Buffer.from(value);
    at = end;
  }
  return { socketType, identity };
}

/** The identities that a ROUTER assigns have a zero byte and a number, here as in libzmq. */
export const MADE_IDENTITY_BYTES = 5;

/** @returns what is wrong with a peer's metadata for a socket of `own` type, or `null` */
export function metadataFault(own: SocketType, peer: Metadata): string | null {
  if (!COMPATIBLE[own].includes(peer.socketType)) {
    const theirs = peer.socketType === '' ? 'peer of no type' : printable(peer.socketType);
    return `a ${own} does not talk to a ${theirs}`;
  }
  if (peer.identity.length > IDENTITY_BYTES_MAX) return 'an identity is at most 255 bytes';
  const { identity } = peer;
  if (identity[0] === 0 && identity.length === MADE_IDENTITY_BYTES) {
    return 'an identity of five bytes, of which the first is zero, is one that a ROUTER assigns';
  }
  return null;
}

const SHOWN_MAX = 64;

/** A peer's text in a form that is safe to show. */
export function printable(text: string): string {
  return text.slice(0, SHOWN_MAX).replace(/[^\x20-\x7e]/g, '?');
}
