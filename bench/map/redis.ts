/** Redis `SET` on one connection, with a number of commands outstanding. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const OK_BYTES = '+OK\r\n'.length;

export class RedisSets {
  readonly #socket: Socket;
  readonly #waiting: (() => void)[] = [];
  #carried = 0;
  #output: string[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      if (bytes.includes('-')) throw new Error(`Redis: ${bytes.toString()}`);
      const whole = this.#carried + bytes.length;
      this.#carried = whole % OK_BYTES;
      const count = Math.floor(whole / OK_BYTES);
      for (const done of this.#waiting.splice(0, count)) done();
    });
  }

  static async connected(port: number): Promise<RedisSets> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RedisSets(socket);
  }

  set(key: string, value: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#output.length === 0) queueMicrotask(() => this.#flush());
      const [keyBytes, valueBytes] = [key.length, value.length];
      this.#output.push(
        `*3\r\n$3\r\nSET\r\n$${keyBytes}\r\n${key}\r\n$${valueBytes}\r\n${value}\r\n`,
      );
    });
  }

  /** One write for all commands of a turn. */
  #flush(): void {
    this.#socket.write(this.#output.join(''));
    this.#output = [];
  }

  close(): void {
    this.#socket.destroy();
  }
}
