/**
 * A broker as small as the Guide's: MDP/0.1 and 0.2, no envelope beyond the routing id, no MMI, no
 * credit, one request per worker, no retry. It uses none of the project's code.
 */
import { Router } from 'zeromq';

interface Waiting {
  readonly client: Buffer;
  readonly version: string;
  readonly body: Buffer[];
}

export class GuideBroker {
  readonly endpoint: string;
  /** READY messages so far. */
  registrations = 0;
  /** The largest number of workers that were busy at once. */
  busiest = 0;
  /** Requests that were not in the plain form. */
  strange = 0;
  readonly #router: Router;
  readonly #idle: Buffer[] = [];
  readonly #busy = new Set<string>();
  readonly #queue: Waiting[] = [];

  private constructor(router: Router) {
    this.#router = router;
    this.endpoint = router.lastEndpoint ?? '';
  }

  static async start(): Promise<GuideBroker> {
    const router = new Router({ linger: 0 });
    await router.bind('tcp://127.0.0.1:*');
    const broker = new GuideBroker(router);
    void broker.#serve();
    return broker;
  }

  stop(): void {
    this.#router.close();
  }

  async #serve(): Promise<void> {
    while (!this.#router.closed) {
      let frames: Buffer[];
      try {
        frames = await this.#router.receive();
      } catch {
        return;
      }
      await this.#handle(frames);
    }
  }

  async #handle([peer, ...rest]: Buffer[]): Promise<void> {
    if (peer === undefined) return;
    if (rest[0]?.length === 0) rest.shift();
    const header = String(rest.shift());
    if (header.startsWith('MDPW')) await this.#worker(peer, rest);
    else if (header.startsWith('MDPC')) this.#client(peer, header, rest);
    else this.strange++;
    await this.#dispatch();
  }

  #client(client: Buffer, version: string, rest: Buffer[]): void {
    if (version === 'MDPC02') rest.shift();
    const service = String(rest.shift());
    if (service.startsWith('mmi.')) return;
    this.#queue.push({ client, version, body: rest });
  }

  /** 0.1 and 0.2 have one READY; the last commands but heartbeats carry a client. */
  async #worker(peer: Buffer, rest: Buffer[]): Promise<void> {
    const command = rest.shift()?.[0];
    if (command === 1) {
      this.registrations++;
      if (rest.length !== 1) this.strange++;
      this.#idle.push(peer);
      return;
    }
    const token = rest.shift();
    if (token === undefined) return;
    rest.shift();
    const [client, version] = String(token).split('/');
    const head = version === 'MDPC02' ? [version, '\x03'] : ['', 'MDPC01'];
    this.#busy.delete(peer.toString('hex'));
    this.#idle.push(peer);
    await this.#router.send([Buffer.from(client ?? '', 'hex'), ...head, 'echo', ...rest]);
  }

  async #dispatch(): Promise<void> {
    while (this.#idle.length > 0) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      const worker = this.#idle.shift();
      if (worker === undefined) return;
      this.#busy.add(worker.toString('hex'));
      this.busiest = Math.max(this.busiest, this.#busy.size);
      const token = `${next.client.toString('hex')}/${next.version}`;
      await this.#router.send([worker, 'MDPW02', '\x02', token, '', ...next.body]);
    }
  }
}
