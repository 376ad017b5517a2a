/**
 * A socket that reads into one buffer, which all of them share: bytes are handled before anything
 * else is read. By itself Node allocates 64 KiB for every read and cuts them to what came, which
 * is an eighth of the CPU time of a request where messages come one by one.
 */
import { connect, type NetConnectOpts, type OnReadOpts, Socket } from 'node:net';

/** What is read of one connection before others are looked at, and what is copied if it has to wait. */
const READ_BYTES = 64 * 1024;
const buffer = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * @param bytes the first `size` are what came; valid during the call
 * @returns whether to read on; else nothing more is read before `resume`
 */
export type Reader = (bytes: Buffer, size: number) => boolean;

export class ByteSource {
  readonly socket: Socket;
  #reader: Reader | null = null;
  /** What came before anybody wanted to read: then nothing more is read. */
  #early: Buffer | null = null;

  private constructor(open: (onread: OnReadOpts) => Socket) {
    this.socket = open({ buffer, callback: (size) => this.#received(buffer, size) });
  }

  static dialled(where: NetConnectOpts): ByteSource {
    return new ByteSource((onread) => connect({ ...where, onread }));
  }

  /** @param accepted given by a server with `pauseOnConnect`; the socket of the source takes its place */
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

  /** From now on what comes goes there; never within this call. */
  read(reader: Reader): void {
    process.nextTick(() => {
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
 * Node documents `onread` for sockets that dial. One that was accepted can only be made anew around
 * its handle, as Node's own server makes it, which is not documented (docs/adr/0002). Where there is
 * no such handle the socket is read as any other.
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
  // Without it, nothing of the first socket ends the connection.
  Reflect.set(accepted, '_handle', null);
  accepted.destroy();
  const options = { handle, onread, readable: true, writable: true };
  return new Socket(options);
}
