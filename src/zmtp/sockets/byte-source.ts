/**
 * A socket that reads into one buffer, which all of them share: bytes are handled before anything
 * else is read. What a large message still lacks is read to where it belongs. By default Node allocates 64 KiB for each read and cuts that to size, which takes
 * an eighth of a request's CPU time when messages arrive one by one.
 */
import { connect, type NetConnectOpts, type OnReadOpts, Socket } from 'node:net';

import { messageOf } from '../../core/errors.js';
import { hasFunction, kindOf, type Shortcut, shortcuts } from '../../core/shortcut.js';

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

/** Where to read to next; `null`: to the shared buffer. It must not be freed before it was given to the reader. */
export type Lender = () => Buffer | null;

export class ByteSource {
  readonly socket: Socket;
  readonly #reading: Shortcut | null;
  #reader: Reader | null = null;
  #lender: Lender | null = null;
  /** Where the socket reads to, if it is not the shared buffer. */
  #lent: Buffer | null = null;
  /** Data that arrived before `read` was called; nothing more is read then. */
  #early: Buffer | null = null;

  /** @param reading what a read of unknown size ends; `null`: `onread` is documented for this socket */
  private constructor(open: (onread: OnReadOpts) => Socket, reading: Shortcut | null) {
    this.#reading = reading;
    this.socket = open({
      buffer: () => this.#next(),
      callback: (size: unknown) => this.#receivedInto(size),
    });
  }

  static dialled(where: NetConnectOpts): ByteSource {
    // Every address of a name is tried, whatever the program's own defaults are (RFC 8305).
    const open = (onread: OnReadOpts): Socket =>
      connect({ autoSelectFamily: true, ...where, onread });
    return new ByteSource(open, null);
  }

  /** @param accepted from a server with `pauseOnConnect`; the source's own socket may replace it */
  static accepted(accepted: Socket, reading: Shortcut = shortcuts.reading): ByteSource {
    const source = new ByteSource(
      (onread) => (reading.isOff ? null : reopened(accepted, onread, reading)) ?? accepted,
      reading,
    );
    const { socket } = source;
    const isReopened = socket !== accepted;
    socket.on('data', (chunk: Buffer) => {
      if (isReopened) reading.giveUp('the socket does not read into the buffer');
      if (!source.#received(chunk, chunk.length)) socket.pause();
    });
    if (!isReopened) socket.resume();
    return source;
  }

  /** Sends incoming data to `reader` from now on; never within this call. */
  read(reader: Reader, lender: Lender | null = null): void {
    queueMicrotask(() => {
      this.#reader = reader;
      this.#lender = lender;
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

  #next(): Buffer {
    this.#lent = this.#lender?.() ?? null;
    return this.#lent ?? buffer;
  }

  /** @returns whether to read on */
  #receivedInto(size: unknown): boolean {
    const into = this.#lent ?? buffer;
    if (typeof size === 'number' && size > 0 && size <= into.length) {
      return this.#received(into, size);
    }
    // What was read is unknown. The peer connects again.
    this.#reading?.giveUp(`the number of bytes read is ${kindOf(size)}`);
    this.socket.destroy();
    return false;
  }

  /** @returns whether to read on */
  #received(bytes: Buffer, size: number): boolean {
    if (this.#reader !== null) return this.#reader(bytes, size);
    this.#early = Buffer.from(bytes.subarray(0, size));
    return false;
  }
}

/**
 * Makes an accepted socket again around its handle, in the way that Node's own server makes it, which is not
 * documented (docs/adr/0002): Node documents `onread` only for sockets that dial.
 * @returns `null`: the accepted one is to be read in the usual way
 */
function reopened(accepted: Socket, onread: OnReadOpts, reading: Shortcut): Socket | null {
  let socket: Socket | null = null;
  try {
    const handle: unknown = Reflect.get(accepted, '_handle');
    if (!hasFunction(handle, 'useUserBuffer')) {
      reading.giveUp(`the handle is ${kindOf(handle)}, or has no useUserBuffer`);
      return null;
    }
    const options = { handle, onread, readable: true, writable: true };
    socket = new Socket(options);
    // Without its handle, the first socket cannot end the connection.
    Reflect.set(accepted, '_handle', null);
    if (Reflect.get(socket, '_handle') === handle && Reflect.get(accepted, '_handle') === null) {
      accepted.destroy();
      return socket;
    }
    reading.giveUp('a socket does not take the handle of another one');
  } catch (error) {
    reading.giveUp(`a socket around the handle: ${messageOf(error)}`);
  }
  // Whose the handle is now is unknown. The peer connects again.
  socket?.destroy();
  accepted.destroy();
  return null;
}
