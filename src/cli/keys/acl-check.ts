/** `majordomo acl check`: what a key may do with a service, and which rule says so. */
import type { Command } from 'commander';

import type { Config } from '../../config/config.js';
import { type ListenerConfig, type MdpRole, MDP_ROLES } from '../../config/entries.js';
import type { Grants } from '../../config/grants.js';
import { type KeyEntry, readKeysFile } from '../../config/io/keys-file.js';
import type { MajordomoError } from '../../core/errors.js';
import { EXIT } from '../../core/exit.js';
import { GlobSet } from '../../core/glob.js';
import { decodeCurveKey } from '../../core/z85.js';
import { unescapeName } from '../../core/escape.js';
import { load } from '../common/load-config.js';
import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import {
  addConfigOptions,
  type ConfigOptions,
  type Done,
  examples,
  usage,
} from '../common/options.js';
import { printable } from '../common/output.js';
import { type Column, table } from '../common/table.js';

interface CheckOptions extends ConfigOptions, OutputOptions {}

/** The decision for one role at one listener. */
interface Verdict {
  readonly allowed: boolean;
  /** The rule that decides, for people. */
  readonly rule: string;
}

interface AtListener extends Readonly<Record<MdpRole, Verdict>> {
  readonly endpoint: string;
  readonly keysFile: string | null;
  /**
   * The name of the key's entry; null: the listener does not admit the key, or no key was given.
   */
  readonly entry: string | null;
}

const EXAMPLES = [
  ['majordomo acl check billing invoices.create', 'a key, by the name of its entry'],
  [
    'majordomo acl check -c majordomo.yaml "$(cat billing.key.pub)" mail',
    'a key, by its public key',
  ],
] as const;

const AFTER = `${examples(EXAMPLES)}
Reads the configuration and its keys files; does not contact a broker. A key has the rights that both its
entry and the listener give. Exit status: 0 if the key may request or offer the service at one of the
listeners, 1 if not.
`;

export function defineAclCheck(command: Command, done: Done): void {
  addOutputOption(addConfigOptions(command), 'list')
    .argument('<key>', 'the name of a key, or a public key')
    .argument('<service>', 'the service')
    .addHelpText('after', AFTER)
    .action(async (key: string, service: string, options: CheckOptions) => {
      const name = unescapeName(service);
      if (name === null) {
        throw usage(`${service}: % must begin an escape %XX`);
      }
      if (/^(mmi|titanic)\./.test(service)) throw ofTheBroker(service);
      const listeners = verdicts(load(options).config, key, name);
      await tell(options.output, listeners, {
        text: shown,
        names: () => listeners.map(({ endpoint }) => endpoint),
        json: () => ({ key, service, listeners }),
      });
      const isOfUse = listeners.some(({ client, worker }) => client.allowed || worker.allowed);
      done(isOfUse ? EXIT.done : EXIT.failed);
    });
}

function ofTheBroker(service: string): MajordomoError {
  return usage(
    `${service} is internal to the broker: every client that may connect may request mmi.*; for titanic.request and ` +
      'titanic.submit and titanic.call, the rights on the requested service count, so name that service',
  );
}

function verdicts(config: Config, key: string, service: Buffer): readonly AtListener[] {
  const quotas = Object.keys(config.limits.quotas);
  const { authorize } = config.security;
  const isAuthoriser = authorize !== null && service.equals(Buffer.from(authorize, 'utf8'));
  return config.broker.listen.map((listener) => {
    const { endpoint, curve } = listener;
    if (curve === undefined) {
      const of = (role: MdpRole): Verdict => {
        const isUnnamed = isAuthoriser && !namesIt(listener, role, service);
        return isUnnamed ? ofTheAuthoriser(role) : byListener(listener, role, service);
      };
      return { endpoint, keysFile: null, entry: null, client: of('client'), worker: of('worker') };
    }
    const { keysFile } = curve;
    const entry = entryOf(readKeysFile(keysFile, quotas), key);
    const of = (role: MdpRole): Verdict => {
      if (entry === undefined) {
        const then =
          authorize === null ? 'the connection is refused' : `the service ${authorize} decides`;
        return { allowed: false, rule: `no entry of ${keysFile} has this key: ${then}` };
      }
      if (isAuthoriser && !namesIt(entry, role, service)) return ofTheAuthoriser(role);
      return byBoth(listener, entry, role, service);
    };
    const name = entry?.name ?? null;
    return { endpoint, keysFile, entry: name, client: of('client'), worker: of('worker') };
  });
}

/**
 * A worker of the service that authorises keys must be named for it; only the broker may request
 * it.
 */
function namesIt(granted: Grants, role: MdpRole, service: Buffer): boolean {
  return role === 'worker' && GlobSet.of(granted.worker).names(service);
}

function ofTheAuthoriser(role: MdpRole): Verdict {
  const rule =
    role === 'client'
      ? 'security.authorize: only the broker may request it'
      : 'security.authorize: a worker list must contain its exact name, not a pattern';
  return { allowed: false, rule };
}

function entryOf(entries: readonly KeyEntry[], key: string): KeyEntry | undefined {
  const publicKey = decodeCurveKey(key);
  return entries.find(
    ({ name, publicKeys }) =>
      name === key || (publicKey !== null && publicKeys.some((each) => each.equals(publicKey))),
  );
}

function byListener(listener: ListenerConfig, role: MdpRole, service: Buffer): Verdict {
  if (listener.service !== null && !service.equals(Buffer.from(listener.service, 'utf8'))) {
    return { allowed: false, rule: `the listener is for the service ${listener.service} alone` };
  }
  const rule = GlobSet.of(listener[role]).matching(service);
  if (rule === null) {
    return { allowed: false, rule: `the listener has ${role}: [${listener[role].join(', ')}]` };
  }
  const who = listener.curve === undefined ? 'every connection, with any key or none; ' : '';
  return { allowed: true, rule: `${who}${role}: ${rule} of the listener` };
}

function byBoth(
  listener: ListenerConfig,
  entry: KeyEntry,
  role: MdpRole,
  service: Buffer,
): Verdict {
  const rule = GlobSet.of(entry[role]).matching(service);
  if (rule === null) {
    return { allowed: false, rule: `${entry.name} has ${role}: [${entry[role].join(', ')}]` };
  }
  const there = byListener(listener, role, service);
  if (!there.allowed) return there;
  return { allowed: true, rule: `${role}: ${rule} of ${entry.name}, ${there.rule}` };
}

const WORDS: Readonly<Record<MdpRole, string>> = { client: 'ask', worker: 'offer' };

interface Shown {
  readonly endpoint: string;
  readonly role: MdpRole;
  readonly verdict: Verdict;
}

const COLUMNS: readonly Column<Shown>[] = [
  { head: 'LISTENER', cell: ({ endpoint }) => printable(endpoint), drop: 1 },
  { head: 'MAY', cell: ({ role }) => WORDS[role] },
  { head: '', cell: ({ verdict }) => (verdict.allowed ? 'yes' : 'no') },
  { head: 'BY', cell: ({ verdict }) => printable(verdict.rule), cut: 24 },
];

function shown(listeners: readonly AtListener[], width: number): string {
  const rows = listeners.flatMap((each) =>
    MDP_ROLES.map((role) => ({ endpoint: each.endpoint, role, verdict: each[role] })),
  );
  return table(COLUMNS, rows, width);
}
