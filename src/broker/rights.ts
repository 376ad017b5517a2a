/** What peers may do, by service (D72). Who gives these rights is the daemon's business. */
import { GlobSet } from '../core/glob.js';

/** For which services somebody may send requests, and offer itself. */
export interface ServiceRights {
  readonly client: GlobSet;
  readonly worker: GlobSet;
}

/**
 * What the entry of a key says now. The object stays that of the key for as long as its connections
 * live: when the entry changes, its values do, and `Broker.rightsChanged` is told.
 */
export interface KeyRights extends ServiceRights {
  /** May read and close stored requests of other keys. */
  readonly operator: boolean;
  /** The name of its quotas; `null`: those of everybody. */
  readonly quota: string | null;
}

/** What one listener allows; a key and its listener must both allow a thing. */
export interface ListenerRules extends ServiceRights {
  /** `minimal`: of `mmi.*` only `mmi.service`, `mmi.hello` and `mmi.broker` (D74). */
  readonly mmi: 'full' | 'minimal';
  /**
   * The service that authorises keys. Who offers it decides who comes in: only they may whose rights
   * name it, not by a glob. And only the node itself asks it.
   */
  readonly authoriser?: Buffer | null;
}

export const EVERYTHING: ListenerRules = {
  client: GlobSet.all,
  worker: GlobSet.all,
  mmi: 'full',
};
