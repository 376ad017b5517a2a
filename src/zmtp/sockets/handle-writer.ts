/**
 * Writes to a socket through its handle. Node's stream around it spends time on each write for what
 * is not needed here.
 *
 * Node does not document the handle (docs/adr/0002), and versions differ. The first write of a process goes through
 * the stream, and shows how the stream calls the handle; later writes call it in the same form. If anything is not as
 * expected, the stream writes from then on. Both may be mixed: a write that has begun stays before later ones.
 */
import type { Socket } from 'node:net';

import { messageOf } from '../../core/errors.js';
import { hasFunction, kindOf, type Shortcut, shortcuts } from '../../core/shortcut.js';

/** Node's object for a write that the kernel did not take at once. */
interface WriteRequest {
  oncomplete: ((status: unknown) => void) | null;
  /** Keeps the bytes in memory until then. */
  buffer: Uint8Array | null;
}

/** A request that the caller makes: up to Node 24.21 and 26.9. */
interface GivenRequest extends WriteRequest {
  /** Negative until Node has begun to use it. */
  getAsyncId(): number;
}

/** A request that Node makes, only for a write that is not complete: from Node 24.22 and 26.10 on. */
interface ReturnedRequest extends WriteRequest {
  /** Negative: the write has failed at once, and Node never completes it. */
  getAsyncId(): number;
  /** The status of a write that has ended within the call; else `null`. */
  writeStatus: number | null;
}

interface Handle {
  /**
   * @param request `null` if Node makes it
   * @returns 0, a negative number if it failed, or a request of Node's if it is pending
   */
  writeBuffer(request: GivenRequest | null, bytes: Uint8Array): unknown;
}

/** What became of a write. */
export type Written = 'taken' | 'pending' | 'failed';

/** Called when a pending write has ended; never within the call that began it. */
export type WriteEnded = (isFailed: boolean) => void;

interface GivenForm {
  readonly kind: 'given';
  readonly Request: new () => GivenRequest;
  /** A request that was not used up: the kernel took its bytes at once. */
  spare: GivenRequest | null;
}

/** The form in which this version of Node calls `writeBuffer`. */
type Form = { readonly kind: 'unknown' | 'returned' } | GivenForm;

/** How sockets are written in this process. */
export class HandleWrites {
  form: Form = { kind: 'unknown' };
  readonly shortcut: Shortcut;

  constructor(shortcut: Shortcut) {
    this.shortcut = shortcut;
  }
}

const ofThisProcess = new HandleWrites(shortcuts.writing);

export class HandleWriter {
  readonly #socket: Socket;
  readonly #writes: HandleWrites;
  #handle: Handle | null = null;

  constructor(socket: Socket, writes: HandleWrites = ofThisProcess) {
    this.#socket = socket;
    this.#writes = writes;
  }

  /** @param views must not change while the write is pending */
  write(views: readonly Buffer[], ended: WriteEnded): Written {
    const [bytes] = views;
    if (views.length === 1 && bytes !== undefined && !this.#writes.shortcut.isOff) {
      const handle = (this.#handle ??= this.#find());
      if (handle !== null) return this.#writeHandle(handle, bytes, ended);
    }
    return this.#writeStream(views, ended);
  }

  #writeHandle(handle: Handle, bytes: Buffer, ended: WriteEnded): Written {
    const { form } = this.#writes;
    if (form.kind === 'unknown') return this.#learn(handle, bytes, ended);
    try {
      return form.kind === 'given'
        ? this.#writeGiven(handle, form, bytes, ended)
        : this.#writeReturned(handle.writeBuffer(null, bytes), bytes, ended);
    } catch (error) {
      this.#giveUp(messageOf(error));
      if (typeof handle.writeBuffer !== 'function') return this.#writeStream([bytes], ended);
      // What was handed over may have been written or not. The peer connects again.
      return 'failed';
    }
  }

  #writeReturned(result: unknown, bytes: Buffer, ended: WriteEnded): Written {
    if (result === 0) return 'taken';
    if (!isReturnedRequest(result)) return this.#failed(result);
    const { writeStatus } = result;
    if (writeStatus !== null) return writeStatus < 0 ? 'failed' : 'taken';
    if (result.getAsyncId() < 0) return 'failed';
    keepUntilComplete(result, bytes, ended);
    return 'pending';
  }

  #writeGiven(handle: Handle, form: GivenForm, bytes: Buffer, ended: WriteEnded): Written {
    const request = form.spare ?? new form.Request();
    form.spare = null;
    const result = handle.writeBuffer(request, bytes);
    if (result !== 0) return this.#failed(result);
    // (Not by `handle.writeQueueSize`: the rest of a write may have left meanwhile, and yet Node
    // uses the request until its next poll. To use it for another write aborts the process.)
    if (request.getAsyncId() < 0) {
      form.spare = request;
      return 'taken';
    }
    keepUntilComplete(request, bytes, ended);
    return 'pending';
  }

  /** What a result means that is not 0. */
  #failed(result: unknown): Written {
    if (typeof result !== 'number' || !(result < 0)) this.#giveUp(kindOf(result));
    return 'failed';
  }

  /** Writes through the stream, and notes how that calls the handle. */
  #learn(handle: Handle, bytes: Buffer, ended: WriteEnded): Written {
    const writes = this.#writes;
    const spy = new Spy(handle);
    let written: Written;
    try {
      written = this.#writeStream([bytes], ended);
    } finally {
      spy.end();
    }
    const { args, result } = spy;
    if (args === null) {
      this.#giveUp('the stream does not call it');
      return written;
    }
    const [request] = args;
    // The stream has reported the failure.
    if (typeof result === 'number' && result < 0) return written;
    const form = args.length === 2 && args[1] === bytes ? formOf(request, result) : null;
    if (form === null) this.#giveUp(`called with ${kindOf(request)}, returned ${kindOf(result)}`);
    else writes.form = form;
    return written;
  }

  #giveUp(reason: string): void {
    this.#writes.shortcut.giveUp(`writeBuffer: ${reason}`);
  }

  #writeStream(views: readonly Buffer[], ended: WriteEnded): Written {
    const last = views.length - 1;
    if (last > 0) this.#socket.cork();
    for (const [index, view] of views.entries()) {
      if (index < last) this.#socket.write(view);
      else this.#socket.write(view, (error) => ended(error !== undefined && error !== null));
    }
    if (last > 0) this.#socket.uncork();
    return 'pending';
  }

  /** @returns `null`: the stream is to write, now or for good */
  #find(): Handle | null {
    // While it connects, another handle may replace it (RFC 8305).
    if (this.#socket.connecting || !this.#socket.writable) return null;
    try {
      const handle: unknown = Reflect.get(this.#socket, '_handle');
      if (isHandle(handle)) return handle;
      this.#giveUp(`the handle is ${kindOf(handle)}`);
    } catch (error) {
      this.#giveUp(messageOf(error));
    }
    return null;
  }
}

function isHandle(handle: unknown): handle is Handle {
  return hasFunction(handle, 'writeBuffer');
}

/** Node calls `oncomplete` once; a second call must not end a later write. */
function keepUntilComplete(request: WriteRequest, bytes: Buffer, ended: WriteEnded): void {
  request.buffer = bytes;
  let isComplete = false;
  request.oncomplete = (status) => {
    if (isComplete) return;
    isComplete = true;
    ended(!(typeof status === 'number' && status >= 0));
  };
}

/** Notes how the `writeBuffer` of a handle is called first, until it ends. */
class Spy {
  args: readonly unknown[] | null = null;
  result: unknown = undefined;
  readonly #handle: Handle;
  readonly #own: PropertyDescriptor | undefined;

  constructor(handle: Handle) {
    this.#handle = handle;
    this.#own = Object.getOwnPropertyDescriptor(handle, 'writeBuffer');
    const real = Reflect.get(handle, 'writeBuffer');
    const value = (...args: unknown[]): unknown => {
      const result: unknown = Reflect.apply(real, handle, args);
      if (this.args === null) [this.args, this.result] = [args, result];
      return result;
    };
    // (Where this cannot be set, nothing is seen.)
    Reflect.defineProperty(handle, 'writeBuffer', { value, configurable: true, writable: true });
  }

  end(): void {
    if (this.#own === undefined) Reflect.deleteProperty(this.#handle, 'writeBuffer');
    else Reflect.defineProperty(this.#handle, 'writeBuffer', this.#own);
  }
}

function isReturnedRequest(value: unknown): value is ReturnedRequest {
  if (typeof value !== 'object' || value === null) return false;
  const status: unknown = Reflect.get(value, 'writeStatus');
  const hasStatus = status === null || typeof status === 'number';
  return hasStatus && typeof Reflect.get(value, 'getAsyncId') === 'function';
}

/** The form of a call that has not failed; `null`: none that is known. */
function formOf(request: unknown, result: unknown): Form | null {
  try {
    if (request === null) {
      return result === 0 || isReturnedRequest(result) ? { kind: 'returned' } : null;
    }
    if (typeof request !== 'object' || result !== 0) return null;
    const Request = request.constructor as new () => GivenRequest;
    // (Deno's have no number before they are used.)
    const spare = new Request();
    return spare.getAsyncId() < 0 ? { kind: 'given', Request, spare } : null;
  } catch {
    return null;
  }
}
