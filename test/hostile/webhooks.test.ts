import { createServer, type Socket } from 'node:net';

import { killPrograms } from '../interop/support/program.js';
import { cleanUp } from '../process/broker/support.js';
import { listening } from '../support/free-ports.js';
import { ask, httpOf, tokenOf } from '../support/http.js';
import { OTHER, SHOP, TOKENS } from '../support/programs.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';
import { Siege } from './siege.js';

const TOOL = 'python3-zmq';

/** Receivers of the attacker. */
const strangers: Stranger[] = [];
const receivers: WebhookReceiver[] = [];

afterEach(async () => {
  await killPrograms();
  await cleanUp();
  for (const stranger of strangers.splice(0)) stranger.close();
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
});

class Stranger {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.setNoDelay().on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.once('data', () => {
      socket.write(this.#first);
      this.#more(socket);
    });
  });
  readonly #first: string;
  readonly #then: string;

  /** @param then is sent again and again */
  constructor(first: string, then: string) {
    this.#first = first;
    this.#then = then;
    strangers.push(this);
  }

  async listen(): Promise<string> {
    return `http://127.0.0.1:${await listening(this.#server)}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #more(socket: Socket): void {
    if (socket.destroyed || this.#then === '') return;
    if (socket.write(this.#then)) setImmediate(() => this.#more(socket));
    else socket.once('drain', () => this.#more(socket));
  }
}

/** Stores a request whose end is told there, and ends it. @returns the uuid of the webhook */
async function ended(
  { daemon }: Siege,
  url: string,
  token = SHOP,
  service = 'idle',
): Promise<string> {
  const http = httpOf(daemon);
  const headers = { prefer: 'respond-async', 'majordomo-webhook': url };
  const path = `${http}/api/v1/services/${service}/requests`;
  const { json } = await ask(path, { method: 'POST', token, body: 'x', headers });
  const request = `${http}/api/v1/titanic/requests/${(json as { readonly uuid: string }).uuid}`;
  const stored = await ask(request, { token: tokenOf(daemon) });
  await ask(request, { method: 'DELETE', token });
  return (stored.json as { readonly partner: string }).partner;
}

describe('receivers of webhooks that are hostile', () => {
  itWithTool(
    TOOL,
    'cost a bounded attempt each, which fails with the reason; others are told and served',
    async () => {
      const kinds = [
        new Stranger('', 'HTTP/1.1 102 \r\n\r\n'.repeat(4000)),
        new Stranger('HTTP/1.1 200 OK\r\n', 'x:\r\n'.repeat(4000)),
        new Stranger('HTTP/1.1 200 OK\r\nx: ', 'x'),
        new Stranger('HTTP/1.1 500 \r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n'),
        new Stranger('', ''),
      ];
      const urls = await Promise.all(kinds.map((each) => each.listen()));
      const receiver = await WebhookReceiver.open();
      receivers.push(receiver);
      const sets = ['http.listen=127.0.0.1:0', 'limits.quotas={shop: {}}', TOKENS];
      const siege = await Siege.begin(...sets, ...receiver.sets(...urls));
      const before = await siege.heldBytes();
      const http = httpOf(siege.daemon);
      const all = Array.from({ length: 20 }, () => urls).flat();
      const told = await Promise.all(all.map((url) => ended(siege, url)));
      await ended(siege, receiver.origin, OTHER, 'other');
      await receiver.until(1);
      const reasonOf = async (uuid = ''): Promise<string> => {
        const url = `${http}/api/v1/titanic/requests/${uuid}`;
        const { json } = await ask(url, { token: tokenOf(siege.daemon) });
        const { deliveries } = json as { deliveries?: readonly { reason: string }[] };
        return deliveries?.[1]?.reason ?? '';
      };
      const failures = [
        'more than 8 interim answers',
        'no status in the first 16384 bytes',
        'no status in the first',
        'answered 500',
      ];
      for (const [at, failure] of failures.entries()) {
        await until(async () => (await reasonOf(told[at])) !== '', 'an attempt failed');
        expect(await reasonOf(told[at])).toContain(failure);
      }
      await siege.bounded(before);
      await siege.end();
    },
  );
});
