/** What peers may do, by service (D72). The node decides who gets these rights. */
import { GlobSet } from '../core/glob.js';

/** The services that a peer may request, and those that it may offer. */
interface ServiceRights {
  readonly client: GlobSet;
  readonly worker: GlobSet;
}

/**
 * What the entry of a key says now. The object stays the same for as long as connections of the key
 * live: when the entry changes, its values change and `Broker.rightsChanged` is called.
 */
export interface KeyRights extends ServiceRights {
  /** May read and close stored requests of other keys. */
  readonly operator: boolean;
  /** The name of its quotas; `null`: the default quotas. */
  readonly quota: string | null;
}

/** What one listener allows. An action must be allowed by both the key and its listener. */
export interface ListenerRules extends ServiceRights {
  /** `minimal`: of `mmi.*`, only what docs/protocol.md lists for it (D74). */
  readonly mmi: 'full' | 'minimal';
  /**
   * The one service that its peers use. They are plain sockets and speak no MDP (D30): clients, if
   * `client` allows any service, else workers.
   */
  readonly service: Buffer | null;
  /**
   * The service that authorises keys. A worker that offers it decides who may connect, so only a
   * key whose rights name it literally, not by a glob, may do so. Only the node itself may request
   * it.
   */
  readonly authoriser?: Buffer | null;
  /**
   * Whether its clients may have sessions (D116). Absent: no, because nothing tells when a client of a listener on
   * libzmq goes.
   */
  readonly resumes?: boolean;
  /** Whether its peers connect with a key. Absent: some do. */
  readonly hasKeys?: boolean;
}

export const EVERYTHING: ListenerRules = {
  client: GlobSet.all,
  worker: GlobSet.all,
  mmi: 'full',
  service: null,
};
