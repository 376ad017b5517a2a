import type { Dial } from '../sdk/worker.js';
import type { CurveClientKeys } from '../sdk/dials.js';
import { keyHint, keyRemedy } from './curve.js';
import { printable, say } from './output.js';

/** Reports a missing connection after this time. */
const PATIENCE_MS = 3000;

/**
 * A dial that reports when connections are made, lost or refused: a worker without a broker looks
 * just like an idle one.
 * @param curve its keys; `undefined`: none
 */
export function reportingDial(
  dial: Dial,
  service: string,
  curve: CurveClientKeys | undefined,
): Dial {
  const name = printable(service);
  /** Connections by endpoint: a worker may have several to one endpoint. */
  const connections = new Map<string, number>();
  const change = (endpoint: string, by: number): void => {
    const before = connections.get(endpoint) ?? 0;
    const now = before + by;
    connections.set(endpoint, now);
    if (before === 0) say(`${name}: connected to ${endpoint}`);
    else if (now === 0) say(`${name}: lost the connection to ${endpoint}, retrying`);
  };
  const watch = (endpoint: string): void => {
    if (connections.has(endpoint)) return;
    connections.set(endpoint, 0);
    const timer = setTimeout(() => {
      if (connections.get(endpoint) !== 0) return;
      if (refusing.has(endpoint)) return;
      say(`${name}: no answer from ${endpoint}${keyHint(curve)}, retrying`);
    }, PATIENCE_MS);
    timer.unref();
  };
  /** Endpoints whose brokers refuse the key: each is reported once. */
  const refusing = new Set<string>();
  const refused = (endpoint: string): void => {
    if (curve === undefined || refusing.has(endpoint)) return;
    refusing.add(endpoint);
    say(`${name}: the broker at ${endpoint} ${keyRemedy(curve, 'worker')}; retrying`);
  };
  return (endpoint, events) => {
    watch(endpoint);
    let connected = false;
    let closed = false;
    const set = (now: boolean): void => {
      if (connected === now) return;
      connected = now;
      if (closed) connections.set(endpoint, (connections.get(endpoint) ?? 1) - 1);
      else change(endpoint, now ? 1 : -1);
    };
    const link = dial(endpoint, {
      connected: () => {
        refusing.delete(endpoint);
        if (!closed) set(true);
        events.connected();
      },
      disconnected: () => {
        set(false);
        events.disconnected();
      },
      unreachable: (isKeyRefused) => {
        if (isKeyRefused && !closed) refused(endpoint);
        events.unreachable?.(isKeyRefused);
      },
      message: (frames) => {
        events.message(frames);
      },
    });
    return {
      write: (bytes, start, end, more) => {
        link.write(bytes, start, end, more);
      },
      close: (lingerMs) => {
        // Closed by this program, at the end or to dial again: nothing to report.
        closed = true;
        set(false);
        return link.close(lingerMs);
      },
    };
  };
}
