import type { Socket } from 'node:net';

/** Open at once, of all and of one address. */
const CONNECTIONS_MAX = 256;
const OF_ADDRESS_MAX = 64;

/** Counts connections, and ends those that are too many. */
export class Connections {
  readonly #ofAddress = new Map<string, number>();
  #count = 0;

  admit(socket: Socket): void {
    socket.on('error', () => undefined);
    const address = socket.remoteAddress ?? '';
    const before = this.#ofAddress.get(address) ?? 0;
    if (this.#count >= CONNECTIONS_MAX || before >= OF_ADDRESS_MAX) {
      socket.destroy();
      return;
    }
    this.#count++;
    this.#ofAddress.set(address, before + 1);
    socket.once('close', () => {
      this.#count--;
      const left = (this.#ofAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#ofAddress.set(address, left);
      else this.#ofAddress.delete(address);
    });
  }
}
