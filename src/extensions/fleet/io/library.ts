/**
 * What this project uses of `@nats-io/transport-node`. Its own declarations do not compile under
 * `exactOptionalPropertyTypes` with `skipLibCheck: false`, so they are not read.
 */

import type { PeerCertificate } from 'node:tls';

export interface NatsMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: { readonly code: number };
}

export interface NatsSubscription {
  unsubscribe(): void;
}

/** Only what is used of each status. */
interface NatsStatus {
  readonly type: string;
  readonly server?: string;
  readonly error?: unknown;
}

export interface NatsConnection {
  readonly info?: {
    readonly max_payload: number;
    readonly auth_required?: boolean;
    readonly tls_required?: boolean;
    readonly tls_available?: boolean;
  };
  getServer(): string;
  publish(subject: string, data: Uint8Array, options?: { readonly reply: string }): void;
  subscribe(
    subject: string,
    options: { readonly callback: (error: Error | null, message: NatsMessage) => void },
  ): NatsSubscription;
  status(): AsyncIterable<NatsStatus>;
  flush(): Promise<void>;
  close(): Promise<void>;
  /** The library's own; there is no other way to the socket, and to the servers that are still tried. */
  readonly protocol?: {
    readonly transport?: { readonly socket?: { destroy(): void } };
    readonly servers?: {
      getServers(): readonly { readonly src: string; tlsName: string }[];
      addServer(address: string): void;
    };
  };
}

/** Signs the challenge of a server; made by the library and given back to it. */
type NatsAuthenticator = (nonce?: string) => unknown;

export interface NatsOptions {
  readonly servers: readonly string[];
  readonly name: string;
  readonly noEcho: boolean;
  readonly ignoreClusterUpdates: boolean;
  readonly timeout: number;
  readonly pingInterval: number;
  readonly maxPingOut: number;
  readonly maxReconnectAttempts: number;
  readonly reconnectTimeWait: number;
  readonly reconnectJitter: number;
  readonly reconnectJitterTLS: number;
  readonly ignoreAuthErrorAbort: boolean;
  readonly authenticator?: NatsAuthenticator;
  /** There: only with TLS. */
  readonly tls?: {
    readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
  };
}

export interface NatsLibrary {
  connect(options: NatsOptions): Promise<NatsConnection>;
  createInbox(): string;
  credsAuthenticator(creds: Uint8Array): NatsAuthenticator;
  nkeyAuthenticator(seed: Uint8Array): NatsAuthenticator;
}

/** The compiler does not look for the declarations of a name that is made here. */
const NAME = ['@nats-io', 'transport-node'].join('/');

export async function loadNats(): Promise<NatsLibrary> {
  return (await import(NAME)) as NatsLibrary;
}
