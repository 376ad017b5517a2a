/**
 * A socket that reads into one buffer, which all of them share: bytes are handled before anything
 * else is read. By default Node allocates 64 KiB for each read and cuts that to size, which takes
 * an eighth of a request's CPU time when messages arrive one by one.
 */
import { connect, type NetConnectOpts, type OnReadOpts, Socket } from 'node:net';

/**
 * Size of one read, after which other connections get a turn, and of what is copied if it has to
 * wait.
 */
const READ_BYTES = 64 * 1024;
const buffer = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * @param bytes the data is the first `size` bytes; valid during the call
 * @returns whether to read on; if not, nothing more is read before `resume`
 */
export type Reader = (bytes: Buffer, size: number) => boolean;

export class ByteSource {
  readonly socket: Socket;
  #reader: Reader | null = null;
  /** Data that arrived before `read` was called; nothing more is read then. */
  #early: Buffer | null = null;

  private constructor(open: (onread: OnReadOpts) => Socket) {
    this.socket = open({ buffer, callback: (size) => this.#received(buffer, size) });
  }

  static dialled(where: NetConnectOpts): ByteSource {
    // Every address of a name is tried, whatever the program's own defaults are (RFC 8305).
    return new ByteSource((onread) => connect({ autoSelectFamily: true, ...where, onread }));
  }

  /** @param accepted from a server with `pauseOnConnect`; the source's own socket replaces it */
  static accepted(accepted: Socket): ByteSource {
    const handle = handleOf(accepted);
    if (handle !== null) return new ByteSource((onread) => reopen(accepted, handle, onread));
    const source = new ByteSource(() => accepted);
    accepted.on('data', (chunk: Buffer) => {
      if (!source.#received(chunk, chunk.length)) accepted.pause();
    });
    accepted.resume();
    return source;
  }

  /** Sends incoming data to `reader` from now on; never within this call. */
  read(reader: Reader): void {
    queueMicrotask(() => {
      this.#reader = reader;
      const early = this.#early;
      this.#early = null;
      if (early === null || this.socket.destroyed) return;
      if (reader(early, early.length)) this.socket.resume();
    });
  }

  /** Reads on. */
  resume(): void {
    if (!this.socket.destroyed) this.socket.resume();
  }

  /** @returns whether to read on */
  #received(bytes: Buffer, size: number): boolean {
    if (this.#reader !== null) return this.#reader(bytes, size);
    this.#early = Buffer.from(bytes.subarray(0, size));
    return false;
  }
}

/**
 * Node documents `onread` only for sockets that dial. An accepted socket must be made again around
 * its handle, in the way that Node's own server makes it, which is not documented (docs/adr/0002).
 * If there is no such handle, the socket is read in the usual way.
 */
function handleOf(socket: Socket): object | null {
  const handle: unknown = Reflect.get(socket, '_handle');
  const isKnown =
    typeof handle === 'object' &&
    handle !== null &&
    typeof Reflect.get(handle, 'useUserBuffer') === 'function';
  return isKnown ? handle : null;
}

function reopen(accepted: Socket, handle: object, onread: OnReadOpts): Socket {
  // Without its handle, the first socket cannot end the connection.
  Reflect.set(accepted, '_handle', null);
  accepted.destroy();
  const options = { handle, onread, readable: true, writable: true };
  return new Socket(options);
}
