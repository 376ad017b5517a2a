/** The node's own CURVE keys: what of them has changed in their files, whose names stay the same. */
import type { Config, ListeningSection } from '../config/config.js';
import { secretKeyFilesOf, type ListenerCurveConfig } from '../config/entries.js';
import { type Change, type Difference, onlyKeysDiffer } from '../config/diff.js';
import { readSecretKey } from '../config/io/secret-key.js';
import { curvePublicKeyOf } from '../core/curve-file.js';
import { digestOf } from '../core/digest.js';
import { encodeZ85 } from '../core/z85.js';
import { FAILOVER_SECTIONS } from '../wire/pair.js';
import type { Log } from '../admin/log/log.js';
import { tell } from '../admin/log/process-events.js';

const SECTIONS = ['broker', 'events', 'map'] as const satisfies ListeningSection[];
const OR = ' or ';

/** The keys of one listener, or of the pair's link. */
interface Place {
  /** The path in the configuration. */
  readonly path: string;
  readonly curve: ListenerCurveConfig;
  /** SIGHUP replaces them. */
  readonly isLive: boolean;
}

export class ServerKeys {
  /** The public keys that are in use, by path. */
  readonly #used = new Map<string, string>();
  /** The configuration at the start: which listeners there are. */
  readonly #config: Config;
  #digests: Buffer | null = null;

  constructor(config: Config) {
    this.#config = config;
    const places = SECTIONS.flatMap((section) => listening(section, config));
    for (const { path, curve } of [...places, ...linkOf(config)]) {
      this.#used.set(path, publicKeysOf(curve));
    }
  }

  /** A digest for each of `FAILOVER_SECTIONS`, of what clients need to know of its listeners. */
  get digests(): Buffer {
    this.#digests ??= Buffer.concat(
      FAILOVER_SECTIONS.map((section) => digestOf([this.#knownOf(section).join(' ')])),
    );
    return this.#digests;
  }

  /** The public keys of its listeners; `open`: a network reaches one without keys; `off`: it has none. */
  #knownOf(section: ListeningSection): readonly string[] {
    const places = listening(section, this.#config);
    const keys = places.flatMap(({ path }) => this.#used.get(path)?.split(OR) ?? []);
    const plain = [this.#config[section].listen].flat().flatMap((listener) => {
      if (listener === null) return ['off'];
      return listener.insecure && listener.curve === undefined ? ['open'] : [];
    });
    return [...new Set([...keys, ...plain])].sort();
  }

  /**
   * Call it when the listeners have the keys of `next`. Logs each that is new.
   * @returns what `diff` cannot see, because only the content of files has changed
   */
  renewed(before: Config, next: Config, log: Log): Difference {
    const live: Change[] = [];
    const restart: Change[] = [];
    for (const section of SECTIONS) {
      if (!onlyKeysDiffer(section, before, next)) continue;
      const isSeen =
        JSON.stringify(before[section].listen) !== JSON.stringify(next[section].listen);
      for (const place of listening(section, next)) {
        const change = this.#changeAt(place);
        if (change === null) continue;
        if (!isSeen) (place.isLive ? live : restart).push(change);
        if (place.isLive) this.#renew(place, change, log);
      }
    }
    const isSameLink = JSON.stringify(before.bstar.curve) === JSON.stringify(next.bstar.curve);
    if (isSameLink) restart.push(...linkOf(next).flatMap((place) => this.#changeAt(place) ?? []));
    return { live, restart };
  }

  #changeAt({ path, curve }: Place): Change | null {
    const from = this.#used.get(path) ?? null;
    const to = readable(curve);
    return to === null || to === from ? null : { key: `${path}.secretKeyFile`, from, to };
  }

  #renew({ path, curve }: Place, { to }: Change, log: Log): void {
    const publicKey = String(to);
    this.#used.set(path, publicKey);
    this.#digests = null;
    const files = secretKeyFilesOf(curve).join(', ');
    const text = `${path} has the key of ${files} now: clients need the public key ${publicKey}`;
    tell(log, 'keys.renewed', { path, publicKey }, text);
  }
}

function listening(section: ListeningSection, config: Config): Place[] {
  const listeners = [config[section].listen].flat();
  return listeners.flatMap((listener, index): Place[] => {
    if (listener?.curve === undefined) return [];
    const at = section === 'broker' ? `[${index}]` : '';
    const isLive = !('transport' in listener) || listener.transport === 'zmtp';
    return [{ path: `${section}.listen${at}.curve`, curve: listener.curve, isLive }];
  });
}

function linkOf({ bstar: { curve } }: Config): Place[] {
  return curve === null ? [] : [{ path: 'bstar.curve', curve, isLive: false }];
}

/** `null`: what is wrong with the files is told where they are used. */
function readable(curve: ListenerCurveConfig): string | null {
  try {
    return publicKeysOf(curve);
  } catch {
    return null;
  }
}

function publicKeysOf(curve: ListenerCurveConfig): string {
  return secretKeyFilesOf(curve).map(readSecretKey).map(curvePublicKeyOf).map(encodeZ85).join(OR);
}
