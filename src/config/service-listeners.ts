/** What may be written for a listener for one service, `broker.listen[].service`. */
import { SERVICE_NAME_BYTES_MAX } from '../core/numbers.js';
import type { ListenerConfig } from './entries.js';
import type { Problem } from './problem.js';

/** A listener as written, as far as these rules need it. */
interface Written {
  readonly service?: string | undefined;
  readonly public?: string | undefined;
  readonly allow?: readonly string[] | undefined;
  readonly client?: unknown;
  readonly worker?: unknown;
  readonly mmi?: unknown;
}

/** A key of the listener, and what is wrong with it. */
interface Fault {
  readonly key: keyof Written;
  readonly message: string;
}

/** The first thing that is wrong, or `null`. */
export function serviceFault(written: Written): Fault | null {
  const { service, allow } = written;
  if (service === undefined) {
    if (written.public === undefined) return null;
    return { key: 'public', message: 'is only for a listener with service' };
  }
  if (/^(mmi|titanic)\./.test(service)) {
    return { key: 'service', message: 'names of mmi. and titanic. belong to the broker' };
  }
  if (service === '' || Buffer.byteLength(service) > SERVICE_NAME_BYTES_MAX) {
    return {
      key: 'service',
      message: `expected a service name of 1 to ${SERVICE_NAME_BYTES_MAX} bytes`,
    };
  }
  for (const key of ['client', 'worker', 'mmi'] as const) {
    if (written[key] === undefined) continue;
    return { key, message: 'has no effect with service: remove it, and use allow' };
  }
  if (allow?.length !== 1) {
    const message =
      'a listener with service needs allow: [client] or allow: [worker]; for both, use two ports';
    return { key: allow === undefined ? 'service' : 'allow', message };
  }
  if (written.public !== undefined && allow[0] === 'worker') {
    return { key: 'public', message: 'is only for clients: remove it, or use allow: [client]' };
  }
  return null;
}

/** Listeners for clients of one service that Freelance clients cannot use. */
export function withoutPublic(listeners: readonly ListenerConfig[]): Problem[] {
  return listeners.flatMap(({ service, client, transport, ...listener }, index) => {
    if (service === null || client.length === 0 || transport === 'libzmq') return [];
    if (listener.public !== null) return [];
    const message =
      'without public, clients of the Freelance pattern (ROUTER sockets) cannot address this listener; REQ and DEALER clients can';
    return [{ place: '', path: `broker.listen[${index}]`, message }];
  });
}
