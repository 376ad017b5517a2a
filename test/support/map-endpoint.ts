/** A daemon with a map, and where it is. */
import type { Daemon } from './daemon.js';

/** For `--set`: a map on free ports. */
export const MAPS = 'map.listen=tcp://127.0.0.1:0';

/** P, as the daemon logged it. */
export function mapOf(daemon: Daemon): string {
  return String(daemon.logged('broker.ready')[0]?.['map']);
}
