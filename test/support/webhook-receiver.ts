/** A receiver of webhooks, and the settings of a broker that sends them to it. */
import { createHmac, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { temporaryDirectory } from './daemon.js';
import { until } from './until.js';

export interface Webhook {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly json: { readonly type: string; readonly data: Readonly<Record<string, unknown>> };
}

type Answering = (response: ServerResponse, webhook: Webhook) => void;

export class WebhookReceiver {
  readonly received: Webhook[] = [];
  readonly secrets: string[] = [newSecret()];
  readonly secretFile: string = join(temporaryDirectory(), 'webhook.secret');
  /** Answers 204. */
  answering: Answering = (response) => response.writeHead(204).end();
  #server: Server | null = null;
  #port = 0;

  static async open(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    await receiver.listen();
    receiver.writeSecrets();
    return receiver;
  }

  writeSecrets(...secrets: readonly string[]): void {
    if (secrets.length > 0) this.secrets.splice(0, Infinity, ...secrets);
    writeFileSync(this.secretFile, `${this.secrets.join('\n')}\n`, { mode: 0o600 });
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        const json = JSON.parse(body) as Webhook['json'];
        const webhook = { path: request.url ?? '', headers: request.headers, body, json };
        this.received.push(webhook);
        this.answering(response, webhook);
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => {
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Of a broker that may send to it. @param hosts further ones */
  sets(...hosts: readonly string[]): string[] {
    return [
      `http.webhookHosts=${[this.origin, ...hosts].join(' ')}`,
      `http.webhookSecretFile=${this.secretFile}`,
    ];
  }

  /** The header of a request whose end is told here. */
  header(path = '/done'): Readonly<Record<string, string>> {
    return { prefer: 'respond-async', 'majordomo-webhook': this.origin + path };
  }

  async until(count: number): Promise<readonly Webhook[]> {
    await until(() => this.received.length >= count, `${count} webhooks`);
    return this.received;
  }
}

export function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/** What the header of a webhook that is signed with these secrets says. */
export function signatureOf({ headers, body }: Webhook, secrets: readonly string[]): string {
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
      return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
    })
    .join(' ');
}
