/** Rights as tests write them: `true` for all services, `false` for none, or globs. */
import type { KeyRights, ListenerRules } from '../../src/broker/rights.js';
import { GlobSet } from '../../src/core/glob.js';

export type May = boolean | readonly string[];

function globs(may: May): GlobSet {
  if (typeof may !== 'boolean') return GlobSet.of(may);
  return may ? GlobSet.all : GlobSet.none;
}

/** The rights of a listener. */
export function rules(client: May, worker: May, mmi: 'full' | 'minimal' = 'full'): ListenerRules {
  return { client: globs(client), worker: globs(worker), mmi, service: null };
}

/** The rights in a key's entry; a test may change them. */
export class TestKey implements KeyRights {
  client: GlobSet;
  worker: GlobSet;
  operator = false;
  quota: string | null = null;

  constructor(client: May, worker: May) {
    this.client = globs(client);
    this.worker = globs(worker);
  }

  may(client: May, worker: May): void {
    this.client = globs(client);
    this.worker = globs(worker);
  }
}
