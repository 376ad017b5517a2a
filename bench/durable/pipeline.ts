/** A plain socket to a peer whose answers are lines: requests of one turn go out in one write. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Pipeline {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #expected: string;
  /** In the order of their requests. */
  #waiting: Waiting[] = [];
  #rest = '';
  #due = 0;

  /** @param expected what the line of a request that was stored begins with */
  constructor(host: string, port: number, request: Buffer, expected: string) {
    this.#request = request;
    this.#expected = expected;
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.setEncoding('latin1').on('data', (text: string) => {
      this.#read(text);
    });
    this.#socket.on('error', (error) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
  }

  store(): Promise<void> {
    if (this.#due++ === 0) setImmediate(() => this.#write());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  #write(): void {
    this.#socket.write(Buffer.concat(Array.from({ length: this.#due }, () => this.#request)));
    this.#due = 0;
  }

  #read(text: string): void {
    const lines = `${this.#rest}${text}`.split('\r\n');
    this.#rest = lines.pop() ?? '';
    const told = this.#waiting.slice(0, lines.length);
    this.#waiting = this.#waiting.slice(lines.length);
    for (const [at, { resolve, reject }] of told.entries()) {
      const line = lines[at] ?? '';
      if (line.startsWith(this.#expected)) resolve();
      else reject(new Error(`a peer answers: ${line}`));
    }
  }
}
