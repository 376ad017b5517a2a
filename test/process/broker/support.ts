import { RawPeer, closePeers } from '../../interop/support/raw-peer.js';
import { killPrograms, type Program, python } from '../../interop/support/program.js';
import { type Daemon, removeDaemons } from '../../support/daemon.js';

/** For `afterEach`. */
export async function cleanUp(): Promise<void> {
  closePeers();
  await killPrograms();
  await removeDaemons();
}

/** How often it happened, including what the log left out within a second. */
export function occurrences(
  daemon: Daemon,
  event: string,
  fields: Readonly<Record<string, unknown>> = {},
): number {
  return daemon
    .logged(event)
    .filter((line) => Object.entries(fields).every(([key, value]) => line[key] === value))
    .reduce((sum, line) => sum + 1 + Number(line['leftOut'] ?? 0), 0);
}

/** How often a client was closed that does not read: over its own limit, or the quota of its identity. */
export function closedDeaf(daemon: Daemon): number {
  const ofQuota = occurrences(daemon, 'connection.rejected', { kind: 'output' });
  return occurrences(daemon, 'client.closed', { reason: 'slow_client' }) + ofQuota;
}

/** Waits until the log reports `count` occurrences. */
export function untilLogged(
  daemon: Daemon,
  event: string,
  fields: Readonly<Record<string, unknown>> = {},
  count = 1,
): Promise<void> {
  return daemon.until(
    () => occurrences(daemon, event, fields) >= count,
    `${count} × ${event} ${JSON.stringify(fields)}`,
  );
}

/** One item of mmi.workers. */
export interface WorkerSeen {
  readonly service: string;
  readonly state: string;
  readonly inFlight: number;
}

/** One item of mmi.services. */
export interface ServiceSeen {
  readonly service: string;
  readonly workersWaiting: number;
  readonly workersBusy: number;
  readonly queued: number;
  readonly plain: object | null;
}

/** It has workers or queued requests; other services are only remembered for a while. */
export function isInUse({ workersWaiting, workersBusy, queued }: ServiceSeen): boolean {
  return workersWaiting + workersBusy + queued > 0;
}

/** Starts a Python worker of the service `work`, and waits until it is the `count`-th registered. */
export async function registeredWorker(
  daemon: Daemon,
  count: number,
  ...args: (string | number)[]
): Promise<Program> {
  const worker = python('worker', daemon.endpoint, 'work', ...args);
  const watcher = new RawPeer(daemon.endpoint);
  await watcher.untilMmi<WorkerSeen[]>('mmi.workers', (workers) => workers.length === count);
  watcher.close();
  return worker;
}

/** A worker in this process: the prefix of its commands, and READY already sent. */
export async function rawWorker(
  endpoint: string,
  service: string,
  ...credit: string[]
): Promise<RawPeer> {
  const peer = new RawPeer(endpoint);
  await peer.send('MDPW02', '\x01', service, ...credit);
  return peer;
}

/** The client's token in a REQUEST to a 0.2 worker. */
export function tokenOf(request: readonly string[]): string {
  const [header, command, token, empty] = request;
  if (header !== 'MDPW02' || command !== '\x02' || token === undefined || empty !== '') {
    throw new Error(`not a REQUEST: ${JSON.stringify(request)}`);
  }
  return token;
}
