/**
 * Who comes in by which key: the keys files of the listeners with CURVE, read again when they
 * change. A file that is broken changes nothing: the list that was read before stays.
 */
import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

import { type KeyEntry, readKeysFile } from '../../config/io/keys-file.js';
import { readSecretKey } from '../../config/io/secret-key.js';
import type { CurveConfig, ListenerConfig, Role } from '../../config/config.js';
import { codeOf, messageOf } from '../../core/errors.js';
import type { Log } from '../../observe/log.js';
import type { ListenerCurve } from '../../transport/port.js';

/** A change is seen within one of these, and read when it has stood for one. */
const LOOK_MS = 500;

/** What a key may do, as its entry says now: the object stays that of the key, its values change. */
interface Rights {
  client: boolean;
  worker: boolean;
  /** May be the other node of the pair. */
  peer: boolean;
}

interface Known {
  readonly name: string;
  readonly rights: Rights;
}

const NOTHING: Readonly<Rights> = { client: false, worker: false, peer: false };

/** Told of each key that came in before and may not any more. */
type Revoke = (name: string) => void;

class KeysFile {
  readonly #file: string;
  readonly #log: Log;
  /** By the public key, in hexadecimal. */
  #known = new Map<string, Known>();
  #byName = new Map<string, Known>();
  /** How the file looked when it was read, and at the last look. */
  #readState = '';
  #lastState = '';
  readonly onRevoked: Revoke[] = [];

  /** @throws ERR_CONFIG_FILE, ERR_CONFIG_INVALID */
  constructor(file: string, log: Log) {
    this.#file = file;
    this.#log = log;
    this.#noteState();
    this.#apply(readKeysFile(file));
  }

  find(publicKey: Buffer): Known | undefined {
    return this.#known.get(publicKey.toString('hex'));
  }

  rightsOf(name: string): Readonly<Rights> {
    return this.#byName.get(name)?.rights ?? NOTHING;
  }

  /** Reads the file again, whether it has changed or not. */
  reread(): void {
    this.#noteState();
    try {
      this.#apply(readKeysFile(this.#file));
      const fields = { event: 'keys.reread', file: this.#file, keys: this.#known.size };
      this.#log.info(fields, `${this.#file}: ${this.#known.size} keys may come in`);
    } catch (error) {
      this.#log.error(
        { event: 'keys.refused', file: this.#file, code: codeOf(error) },
        `the keys file was not applied, the list before it stays: ${messageOf(error)}`,
      );
    }
  }

  /** Reads it again if it has changed, and has stood so since the last look. */
  async look(): Promise<void> {
    const state = await stateOf(this.#file);
    const isSettled = state === this.#lastState;
    this.#lastState = state;
    if (isSettled && state !== this.#readState) this.reread();
  }

  /** Before it is read: what changes meanwhile is seen at the next look. */
  #noteState(): void {
    try {
      this.#readState = shown(statSync(this.#file));
    } catch (error) {
      this.#readState = codeOf(error) ?? 'unknown';
    }
  }

  #apply(entries: readonly KeyEntry[]): void {
    const known = new Map<string, Known>();
    const byName = new Map<string, Known>();
    for (const { name, publicKey, allow } of entries) {
      const id = publicKey.toString('hex');
      const before = this.#known.get(id);
      const each = before?.name === name ? before : { name, rights: { ...NOTHING } };
      each.rights.client = allow.includes('client');
      each.rights.worker = allow.includes('worker');
      each.rights.peer = allow.includes('peer');
      known.set(id, each);
      byName.set(name, each);
    }
    const gone = [...this.#known].filter(([id, each]) => known.get(id) !== each);
    this.#known = known;
    this.#byName = byName;
    for (const [, each] of gone) {
      Object.assign(each.rights, NOTHING);
      for (const revoked of this.onRevoked) revoked(each.name);
    }
  }
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

/** The keys of all listeners. */
export class Keys {
  readonly #files = new Map<string, KeysFile>();
  /** By the index of the listener. */
  readonly #ofListener: (KeysFile | undefined)[] = [];
  readonly #curves: (ListenerCurve | undefined)[] = [];
  /** What the pair's listener is to be told. */
  readonly peerCurve: ListenerCurve | undefined;
  #timer: NodeJS.Timeout | null = null;

  /** @throws ERR_CONFIG_FILE, ERR_CONFIG_INVALID if a file of keys is not as it should be */
  constructor(listeners: readonly ListenerConfig[], pair: CurveConfig | null, log: Log) {
    for (const [index, listener] of listeners.entries()) {
      if (listener.curve === undefined) continue;
      const { secretKeyFile, keysFile } = listener.curve;
      const secretKey = readSecretKey(secretKeyFile);
      const keys = this.#file(keysFile, log);
      this.#ofListener[index] = keys;
      // libzmq does not tell whose message it is: who comes in may do all that is allowed there.
      const needed: readonly Role[] = listener.transport === 'libzmq' ? listener.allow : [];
      this.#curves[index] = {
        secretKey,
        authorise: (publicKey) => {
          const known = keys.find(publicKey);
          const isIn = known !== undefined && needed.every((role) => known.rights[role]);
          return isIn ? { kind: 'allowed', name: known.name } : { kind: 'refused' };
        },
      };
    }
    this.peerCurve = pair === null ? undefined : this.#ofPair(pair, log);
  }

  #file(path: string, log: Log): KeysFile {
    const known = this.#files.get(path) ?? new KeysFile(path, log);
    this.#files.set(path, known);
    return known;
  }

  #ofPair({ secretKeyFile, keysFile }: CurveConfig, log: Log): ListenerCurve {
    const secretKey = readSecretKey(secretKeyFile);
    const keys = this.#file(keysFile, log);
    return {
      secretKey,
      authorise: (publicKey) => {
        const known = keys.find(publicKey);
        const isIn = known?.rights.peer === true;
        return isIn ? { kind: 'allowed', name: known.name } : { kind: 'refused' };
      },
    };
  }

  /** What the transport is to be told of a listener. */
  curveOf(listener: number): ListenerCurve | undefined {
    return this.#curves[listener];
  }

  readonly rightsOf = (listener: number, name: string): Readonly<Rights> =>
    this.#ofListener[listener]?.rightsOf(name) ?? NOTHING;

  /** Looks after the files from now on. @param revoke ends what came in by a key that is gone */
  watch(revoke: (listener: number, name: string) => void): void {
    if (this.#files.size === 0) return;
    for (const [listener, keys] of this.#ofListener.entries()) {
      keys?.onRevoked.push((name) => {
        revoke(listener, name);
      });
    }
    this.#timer = setTimeout(this.#look, LOOK_MS);
  }

  /** SIGHUP. */
  reread(): void {
    for (const keys of this.#files.values()) keys.reread();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  readonly #look = (): void => {
    void Promise.all([...this.#files.values()].map((keys) => keys.look())).then(() => {
      if (this.#timer !== null) this.#timer = setTimeout(this.#look, LOOK_MS);
    });
  };
}
