/** The engines that a listener can use (`broker.transport`): interoperation is proved with each. */
import { type Daemon, type DaemonOptions, startDaemon } from '../../support/daemon.js';

export type TransportName = 'zmtp' | 'libzmq';

export const TRANSPORTS: readonly TransportName[] = ['zmtp', 'libzmq'];

/** A broker whose listeners use that engine. */
export function startDaemonOn(
  transport: TransportName,
  options: DaemonOptions = {},
): Promise<Daemon> {
  return startDaemon({
    ...options,
    sets: [`broker.transport=${transport}`, ...(options.sets ?? [])],
  });
}
