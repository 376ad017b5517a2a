/**
 * Writes to a socket through its handle. Node's stream around it spends time on each write for what
 * is not needed here.
 *
 * Node does not document the handle (docs/adr/0002). Where it is not as expected, `write` says so,
 * and the caller uses the stream. Both may be mixed: a write that has begun stays before later ones.
 */
import type { Socket } from 'node:net';

/** Node's object for a write that the kernel did not take at once. */
interface WriteRequest {
  /** Negative until Node has begun to use it. */
  getAsyncId(): number;
  oncomplete: ((status: number) => void) | null;
  /** Keeps the bytes in memory until then. */
  buffer: Uint8Array | null;
}

interface Handle {
  /** @returns a negative number if it failed */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
}

/** The class of Node's write requests; `null`: not known, or not as expected. */
let RequestClass: (new () => WriteRequest) | null = null;
/** A request that was not used up: the kernel took its bytes at once. */
let spare: WriteRequest | null = null;

/** What became of a write. `unsupported`: nothing was written, use the stream. */
export type Written = 'taken' | 'pending' | 'failed' | 'unsupported';

export class HandleWriter {
  readonly #socket: Socket;
  #handle: Handle | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /**
   * @param bytes must not change while the write is pending
   * @param done called when a pending write has ended; never within this call
   */
  write(bytes: Uint8Array, done: (isFailed: boolean) => void): Written {
    const handle = (this.#handle ??= this.#find());
    if (handle === null) return 'unsupported';
    if (RequestClass === null) {
      learnRequestClass(handle);
      return 'unsupported';
    }
    const request = spare ?? new RequestClass();
    spare = null;
    if (handle.writeBuffer(request, bytes) < 0) return 'failed';
    // (Not by `handle.writeQueueSize`: the rest of a write may have left meanwhile, and yet Node
    // uses the request until its next poll. To use it for another write aborts the process.)
    if (request.getAsyncId() < 0) {
      spare = request;
      return 'taken';
    }
    request.buffer = bytes;
    request.oncomplete = (status) => {
      done(status < 0);
    };
    return 'pending';
  }

  #find(): Handle | null {
    // Until then, another handle may replace it (RFC 8305).
    if (this.#socket.connecting) return null;
    const handle: unknown = Reflect.get(this.#socket, '_handle');
    return isHandle(handle) ? handle : null;
  }
}

function isHandle(handle: unknown): handle is Handle {
  return (
    typeof handle === 'object' &&
    handle !== null &&
    typeof Reflect.get(handle, 'writeBuffer') === 'function'
  );
}

/** The stream is about to write: notes the class of the request that it makes. */
function learnRequestClass(handle: Handle): void {
  handle.writeBuffer = (request, bytes) => {
    Reflect.deleteProperty(handle, 'writeBuffer');
    RequestClass = classOf(request);
    return handle.writeBuffer(request, bytes);
  };
}

/** `null` if its requests are not like Node's: Deno's do not exist before they are used. */
function classOf(request: WriteRequest): typeof RequestClass {
  const Made = request.constructor as new () => WriteRequest;
  try {
    return new Made().getAsyncId() < 0 ? Made : null;
  } catch {
    return null;
  }
}
