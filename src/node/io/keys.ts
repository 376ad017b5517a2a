/**
 * Which keys are allowed: the keys files of the listeners with CURVE, read again when they change.
 * An invalid file changes nothing: the previous list stays.
 */
import { createHash } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

import type { Config } from '../../config/config.js';
import {
  type CurveConfig,
  type ListenerConfig,
  type ListenerCurveConfig,
  MDP_ROLES,
  secretKeyFilesOf,
} from '../../config/entries.js';
import { type KeyEntry, readKeysFile } from '../../config/io/keys-file.js';
import { MAKES, readSecretKey, withRemedy } from '../../config/io/secret-key.js';
import { sharedNames } from '../../config/io/shared-names.js';
import { problemLine } from '../../config/problem.js';
import { assert, present } from '../../core/assert.js';
import { codeOf, messageOf } from '../../core/errors.js';
import type { Log } from '../../admin/log/log.js';
import { tell } from '../../admin/log/process-events.js';
import type { ListenerCurve } from '../../zmtp/listener-curve.js';
import { DIGEST_BYTES } from '../../wire/pair.js';
import type { Verdict } from '../../zmtp/curve/server.js';
import { NOTHING, type Rights, updateRights } from '../key-rights.js';

/**
 * Interval of the check. A changed file is read when it has stayed the same for one interval, so in
 * less than a second (D73).
 */
const LOOK_MS = 400;

interface Known {
  readonly name: string;
  readonly rights: Rights;
}

/** Changes found when a keys file was read again. */
interface FileWatcher {
  /** The rights of the name have changed. */
  changed(name: string): void;
  /** A key, in hexadecimal, is no longer allowed. */
  revoked(publicKey: string): void;
  /** A key of that name could be the peer of this node before, and no longer can. */
  noPeer(name: string): void;
}

class KeysFile {
  readonly #file: string;
  readonly #log: Log;
  #quotas: readonly string[];
  /** The known keys by public key, in hexadecimal. */
  #known = new Map<string, Known>();
  byName = new Map<string, Known>();
  /** The file's state when it was read, and at the last check. */
  #readState = '';
  #lastState = '';
  readonly watchers: FileWatcher[] = [];
  entries: readonly KeyEntry[] = [];
  /** The entries as text, for comparison with the peer's. */
  shown: readonly string[] = [];

  /** @throws ERR_CONFIG_FILE, ERR_CONFIG_INVALID */
  constructor(file: string, quotas: readonly string[], log: Log) {
    this.#file = file;
    this.#quotas = quotas;
    this.#log = log;
    this.#noteState();
    this.#apply(readKeysFile(file, quotas));
  }

  find(publicKey: Buffer): Known | undefined {
    return this.#known.get(publicKey.toString('hex'));
  }

  rightsOf(name: string): Readonly<Rights> {
    return this.byName.get(name)?.rights ?? NOTHING;
  }

  /** Reads the file again, even if it has not changed. */
  reread(quotas: readonly string[] = this.#quotas): void {
    this.#quotas = quotas;
    this.#noteState();
    try {
      this.#apply(readKeysFile(this.#file, quotas));
      const fields = { file: this.#file, keys: this.#known.size };
      tell(this.#log, 'keys.reread', fields, `${fields.file}: ${fields.keys} keys may connect`);
    } catch (error) {
      tell(
        this.#log,
        'keys.refused',
        { file: this.#file, code: codeOf(error) },
        `the keys file was not applied, the previous keys stay: ${messageOf(error)}`,
      );
    }
  }

  /**
   * Reads the file again if it has changed and has stayed the same since the last check.
   * @returns whether it was read
   */
  async look(): Promise<boolean> {
    const state = await stateOf(this.#file);
    const isSettled = state === this.#lastState;
    this.#lastState = state;
    const isDue = isSettled && state !== this.#readState;
    if (isDue) this.reread();
    return isDue;
  }

  /** Notes the file's state before reading: a change during the read is found by the next check. */
  #noteState(): void {
    try {
      this.#readState = shown(statSync(this.#file));
    } catch (error) {
      this.#readState = codeOf(error) ?? 'unknown';
    }
  }

  #apply(entries: readonly KeyEntry[]): void {
    this.entries = entries;
    this.shown = entries.map(shownEntry);
    const peers = [...this.#known].filter(([, { rights }]) => rights.peer);
    const known = new Map<string, Known>();
    const byName = new Map<string, Known>();
    const changed: string[] = [];
    for (const entry of entries) {
      const each = this.byName.get(entry.name) ?? { name: entry.name, rights: { ...NOTHING } };
      if (updateRights(each.rights, entry)) changed.push(entry.name);
      for (const key of entry.publicKeys) known.set(key.toString('hex'), each);
      byName.set(entry.name, each);
    }
    const gone = [...this.#known].filter(([id, each]) => known.get(id) !== each);
    const dropped = [...this.byName.values()].filter((each) => byName.get(each.name) !== each);
    this.#known = known;
    this.byName = byName;
    for (const { rights } of dropped) Object.assign(rights, NOTHING);
    for (const watcher of this.watchers) {
      for (const name of changed) watcher.changed(name);
      for (const { name } of dropped) watcher.changed(name);
      for (const [id] of gone) watcher.revoked(id);
      for (const [id, { name }] of peers) {
        if (known.get(id)?.rights.peer !== true) watcher.noPeer(name);
      }
    }
  }
}

/** Returns the same text for the same keys and rights, whatever their order and form in the file. */
function shownEntry(entry: KeyEntry): string {
  const { name, publicKeys, client, worker, peer, operator, quota } = entry;
  const keys = publicKeys.map((key) => key.toString('hex')).sort();
  return JSON.stringify([
    name,
    keys,
    [...client].sort(),
    [...worker].sort(),
    peer,
    operator,
    quota,
  ]);
}

async function stateOf(file: string): Promise<string> {
  try {
    return shown(await stat(file));
  } catch (error) {
    return codeOf(error) ?? 'unknown';
  }
}

function shown({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** Called when keys change. */
interface KeysWatcher {
  /** The rights of the name have changed. */
  changed(name: string): void;
  /** Connections at that listener with this key, in hexadecimal, are no longer allowed. */
  revoked(listener: number, publicKey: string): void;
  /** The key can no longer be the other node of the pair. */
  noPeer(name: string): void;
}

/** Decides on keys that are in no file. */
export interface Elsewhere {
  verdict(publicKey: Buffer, address: string): Verdict;
  rightsOf(name: string): Readonly<Rights>;
}

/** The keys of a port that is no listener of the broker: of the events, or of the map. */
export interface PortKeys {
  /** The CURVE options of the port; `undefined`: it has none. */
  readonly curve: ListenerCurve | undefined;
  /** The rights of a peer there, by the name of its key. */
  readonly rightsOf: (name: string) => Readonly<Rights>;
}

interface KeyedPort {
  readonly file: KeysFile;
  /** Whether the port's peers may be those of the other node of a pair after a failover. */
  readonly followsFailover: boolean;
  readonly revoked: (publicKey: string) => void;
}

/** The keys of all listeners. */
export class Keys {
  readonly #files = new Map<string, KeysFile>();
  readonly #log: Log;
  #quotas: readonly string[];
  /** The keys file of each listener, by its index. */
  readonly #ofListener: (KeysFile | undefined)[] = [];
  readonly #curves: (ListenerCurve | undefined)[] = [];
  elsewhere: Elsewhere | null = null;
  #within: {
    readonly listener: number;
    readonly rightsOf: (name: string) => Readonly<Rights>;
  } | null = null;
  /** The CURVE options of the pair's listener. */
  readonly peerCurve: ListenerCurve | undefined;
  /** The file of the pair's listener. */
  #ofPeer: KeysFile | null = null;
  readonly #ports: KeyedPort[] = [];
  /** The last digest and its input. */
  #digested: { readonly of: readonly (readonly string[])[]; readonly digest: Buffer } | null = null;
  #timer: NodeJS.Timeout | null = null;
  #sharedReported: ReadonlySet<string> = new Set();

  /** @throws ERR_CONFIG_FILE, ERR_CONFIG_INVALID if a keys file is invalid */
  constructor({ broker, bstar, events, map, limits }: Config, log: Log) {
    this.#log = log;
    this.#quotas = Object.keys(limits.quotas);
    for (const [index, listener] of broker.listen.entries()) {
      if (listener.curve === undefined) continue;
      const { curve } = listener;
      const { keys, secretKeys } = present(this.#readPort(curve), 'it has keys');
      this.#ofListener[index] = keys;
      this.#curves[index] = {
        secretKeys,
        authorise: (publicKey, address) => {
          const name = keys.find(publicKey)?.name;
          const verdict = name === undefined ? this.#ask(publicKey, address) : allowed(name);
          if (verdict.kind !== 'allowed') return verdict;
          const isIn = isAdmitted(this.rightsOf(index, verdict.name), listener);
          return isIn ? verdict : { kind: 'refused' };
        },
      };
    }
    this.peerCurve = bstar.curve === null ? undefined : this.#ofPair(bstar.curve);
    // Read now, so that a node with an invalid file does not begin to start; see `ofPort`.
    for (const { listen } of [events, map]) this.#readPort(listen?.curve);
    this.#warnOfSharedNames();
  }

  #readPort(
    curve: ListenerCurveConfig | undefined,
  ): { readonly keys: KeysFile; readonly secretKeys: readonly Buffer[] } | null {
    if (curve === undefined) return null;
    return withRemedy(MAKES.listener, () => ({
      secretKeys: secretKeyFilesOf(curve).map(readSecretKey),
      keys: this.#file(curve.keysFile),
    }));
  }

  /**
   * The keys of a port that has its own. Called before `watch`.
   * @param curve `undefined`: it is open to all
   * @param followsFailover its keys have to be the same on both nodes of a pair
   * @param revoked a key, in hexadecimal, is no longer allowed there
   * @throws ERR_CONFIG_FILE, ERR_CONFIG_INVALID if its keys file is invalid
   */
  ofPort(
    curve: ListenerCurveConfig | undefined,
    followsFailover: boolean,
    revoked: (publicKey: string) => void,
  ): PortKeys {
    assert(this.#timer === null, 'keys are not watched yet');
    const read = this.#readPort(curve);
    if (read === null) return { curve: undefined, rightsOf: () => NOTHING };
    const { keys, secretKeys } = read;
    this.#ports.push({ file: keys, followsFailover, revoked });
    const authorise: ListenerCurve['authorise'] = (publicKey) => {
      const name = keys.find(publicKey)?.name;
      return name === undefined ? { kind: 'refused' } : allowed(name);
    };
    return { curve: { secretKeys, authorise }, rightsOf: (name) => keys.rightsOf(name) };
  }

  #ask(publicKey: Buffer, address: string): Verdict {
    return this.elsewhere?.verdict(publicKey, address) ?? { kind: 'refused' };
  }

  /** Warns of each shared name once, until it is corrected. */
  #warnOfSharedNames(): void {
    const files = new Set(this.#ofListener.filter((keys) => keys !== undefined));
    const problems = sharedNames([...files].map(({ entries }) => entries));
    const reported = new Set<string>();
    for (const problem of problems) {
      const { place, path: key } = problem;
      const line = problemLine(problem);
      reported.add(line);
      if (!this.#sharedReported.has(line)) {
        tell(this.#log, 'keys.shared', { key, place }, line);
      }
    }
    this.#sharedReported = reported;
  }

  /** Whether a keys file has an entry with that name. */
  has(name: string): boolean {
    return [...this.#files.values()].some((keys) => keys.byName.has(name));
  }

  #file(path: string): KeysFile {
    const known = this.#files.get(path) ?? new KeysFile(path, this.#quotas, this.#log);
    this.#files.set(path, known);
    return known;
  }

  #ofPair({ secretKeyFile, keysFile }: CurveConfig): ListenerCurve {
    const { keys, secretKey } = withRemedy(MAKES.pair, () => ({
      secretKey: readSecretKey(secretKeyFile),
      keys: this.#file(keysFile),
    }));
    this.#ofPeer = keys;
    return {
      secretKeys: [secretKey],
      authorise: (publicKey) => {
        const known = keys.find(publicKey);
        const isIn = known?.rights.peer === true;
        return isIn ? { kind: 'allowed', name: known.name } : { kind: 'refused' };
      },
    };
  }

  /** The CURVE options of a listener, for the transport. */
  curveOf(listener: number): ListenerCurve | undefined {
    return this.#curves[listener];
  }

  /** The rights at a listener in this process, which has no keys file. */
  within(listener: number, rightsOf: (name: string) => Readonly<Rights>): void {
    this.#within = { listener, rightsOf };
  }

  readonly rightsOf = (listener: number, name: string): Readonly<Rights> => {
    if (listener === this.#within?.listener) return this.#within.rightsOf(name);
    const keys = this.#ofListener[listener];
    if (keys?.byName.has(name) === true) return keys.rightsOf(name);
    return (keys === undefined ? null : this.elsewhere?.rightsOf(name)) ?? NOTHING;
  };

  /** Digest of all allowed keys and their rights: equal on both nodes of a pair if these are. */
  get digest(): Buffer {
    const files = [...this.#files.values()].filter((file) => this.#followsFailover(file));
    const shown = files.map((file) => file.shown);
    if (
      this.#digested === null ||
      shown.some((list, index) => list !== this.#digested?.of[index])
    ) {
      const all = [...new Set(shown.flat())].sort();
      const digest = createHash('sha256').update(JSON.stringify(all)).digest();
      this.#digested = { of: shown, digest: digest.subarray(0, DIGEST_BYTES) };
    }
    return this.#digested.digest;
  }

  #followsFailover(file: KeysFile): boolean {
    if (file === this.#ofPeer || this.#ofListener.includes(file)) return true;
    return this.#ports.some((port) => port.file === file && port.followsFailover);
  }

  /** Checks the files periodically from now on. */
  watch(watcher: KeysWatcher): void {
    if (this.#files.size === 0) return;
    for (const keys of this.#files.values()) {
      keys.watchers.push({
        changed: (name) => watcher.changed(name),
        revoked: (publicKey) => {
          for (const [listener, each] of this.#ofListener.entries()) {
            if (each === keys) watcher.revoked(listener, publicKey);
          }
          for (const { file, revoked } of this.#ports) if (file === keys) revoked(publicKey);
        },
        noPeer: (name) => {
          if (keys === this.#ofPeer) watcher.noPeer(name);
        },
      });
    }
    this.#timer = setTimeout(this.#look, LOOK_MS);
  }

  /** SIGHUP: reads the files again, with the current quotas. */
  reread({ limits }: Config): void {
    this.#quotas = Object.keys(limits.quotas);
    for (const keys of this.#files.values()) keys.reread(this.#quotas);
    this.#warnOfSharedNames();
  }

  /**
   * SIGHUP: the listeners' secret keys, as their files are now.
   * @throws ERR_CONFIG_FILE
   */
  secretKeysOf(listeners: readonly ListenerConfig[]): ReadonlyMap<number, readonly Buffer[]> {
    const keys = new Map<number, readonly Buffer[]>();
    for (const [index, { curve }] of listeners.entries()) {
      if (curve !== undefined) keys.set(index, secretKeyFilesOf(curve).map(readSecretKey));
    }
    return keys;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  readonly #look = (): void => {
    void Promise.all([...this.#files.values()].map((keys) => keys.look())).then((read) => {
      if (read.includes(true)) this.#warnOfSharedNames();
      if (this.#timer !== null) this.#timer = setTimeout(this.#look, LOOK_MS);
    });
  };
}

function allowed(name: string): Verdict {
  return { kind: 'allowed', name };
}

/** libzmq does not report who sent a message: every allowed key has all rights of the listener. */
function isAdmitted(rights: Rights, listener: ListenerConfig): boolean {
  if (listener.transport !== 'libzmq') return true;
  return MDP_ROLES.every(
    (role) =>
      rights[role].isAll || listener[role].every((glob) => rights[role].patterns.includes(glob)),
  );
}

/**
 * SIGHUP: the secret keys of a port, as their files are now; `null`: it is open to all.
 * @throws ERR_CONFIG_FILE
 */
export function secretKeysAt(
  listen: { readonly curve?: ListenerCurveConfig } | null,
): readonly Buffer[] | null {
  return listen?.curve === undefined ? null : secretKeyFilesOf(listen.curve).map(readSecretKey);
}
