/**
 * The network between two processes of this machine: a relay that can be cut, slowed, or blocked in
 * one direction.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * - *open*: everything passes
 * - *reset*: connections are reset, and so are new ones
 * - *frozen*: nothing passes and neither side is notified; data waits, as in a failed network
 * - *toServer*, *toClient*: data passes only in that direction
 */
export type RelayState = 'open' | 'reset' | 'frozen' | 'toServer' | 'toClient';

interface Pass {
  /** From the dialling side. */
  readonly client: Socket;
  readonly server: Socket;
}

/** Observes the traffic. */
export interface Tap {
  connected(): void;
  fromClient(chunk: Buffer): void;
  fromServer(chunk: Buffer): void;
}

const open: TcpRelay[] = [];

export class TcpRelay {
  readonly #target: number;
  readonly #server: Server;
  readonly #passes = new Set<Pass>();
  /** With what was to be sent over them when they were held. */
  readonly #held = new Map<Pass, Buffer>();
  #awaited: { readonly text: string; readonly found: (port: number) => void } | null = null;
  tap: Tap | null = null;
  /** In each direction of each connection. */
  bytesPerSecond = Infinity;
  #state: RelayState = 'open';

  constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ pauseOnConnect: true }, (client) => this.#accept(client));
    open.push(this);
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  set(state: RelayState): void {
    this.#state = state;
    for (const pass of this.#passes) this.#apply(pass);
  }

  /**
   * Holds the connection over which `text` is sent next: this and all that follows waits until
   * `deliver`, as in a network that delays it, even if the connection is closed meanwhile.
   * @returns the port from which it is connected to the server
   */
  async hold(text: string): Promise<number> {
    return await new Promise((resolve) => {
      this.#awaited = { text, found: resolve };
    });
  }

  deliver(): void {
    const held = [...this.#held];
    this.#held.clear();
    for (const [pass, chunk] of held) {
      pass.server.write(chunk);
      this.#apply(pass);
    }
  }

  close(): void {
    this.#server.close();
    for (const pass of this.#passes) this.#end(pass);
  }

  #accept(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1');
    const pass = { client, server };
    this.#passes.add(pass);
    this.tap?.connected();
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('data', (chunk: Buffer) => {
        if (from === client) this.tap?.fromClient(chunk);
        else this.tap?.fromServer(chunk);
        if (from === client && this.#isAwaited(pass, chunk)) return;
        if (!to.destroyed && !to.write(chunk)) from.pause();
        this.#slow(pass, from, chunk.length);
      });
      to.on('drain', () => this.#apply(pass));
      from.once('close', () => {
        // A failed network does not report the end of a connection, either.
        if (this.#state === 'open' && !this.#held.has(pass)) this.#end(pass);
      });
    }
    this.#apply(pass);
  }

  /** If so, the connection is held. */
  #isAwaited(pass: Pass, chunk: Buffer): boolean {
    const awaited = this.#awaited;
    if (awaited === null || !chunk.includes(awaited.text)) return false;
    this.#awaited = null;
    this.#held.set(pass, chunk);
    flow(pass.client, false);
    flow(pass.server, false);
    awaited.found(pass.server.localPort ?? 0);
    return true;
  }

  #slow(pass: Pass, from: Socket, bytes: number): void {
    if (this.bytesPerSecond === Infinity) return;
    from.pause();
    setTimeout(
      () => {
        if (this.#passes.has(pass)) this.#apply(pass);
      },
      (bytes / this.bytesPerSecond) * 1000,
    );
  }

  #end(pass: Pass): void {
    this.#passes.delete(pass);
    pass.client.destroy();
    pass.server.destroy();
  }

  #apply(pass: Pass): void {
    if (this.#held.has(pass)) return;
    const { client, server } = pass;
    const state = this.#state;
    if (state === 'reset') {
      client.resetAndDestroy();
      server.resetAndDestroy();
      this.#passes.delete(pass);
      return;
    }
    if (state === 'open' && (client.destroyed || server.destroyed)) {
      this.#end(pass);
      return;
    }
    flow(client, state === 'open' || state === 'toServer');
    flow(server, state === 'open' || state === 'toClient');
  }
}

function flow(from: Socket, passes: boolean): void {
  if (passes) from.resume();
  else from.pause();
}

/** For `afterEach`. */
export function closeRelays(): void {
  for (const relay of open.splice(0)) relay.close();
}
