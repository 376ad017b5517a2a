import type { Config } from '../../config/config.js';
import type { Attached, Host } from '../../node/extension.js';
import { NOTHING, type Rights, updateRights } from '../../node/key-rights.js';
import type { OpenRouter } from '../../zmtp/several.js';
import { Callers, keyOfToken } from './callers.js';

/** Programs over HTTP: their rights, and their connections to the broker. */
export class AttachedPrograms implements Attached {
  readonly callers: Callers;
  readonly inner: OpenRouter;
  readonly #loop: Host['loop'];
  /** By key. An object stays, and what it says changes. */
  readonly #rights = new Map<string, Rights>();

  constructor({ loop, keys, config, innerListener }: Host) {
    this.#loop = loop;
    this.callers = new Callers(innerListener);
    this.inner = this.callers.open;
    keys.within(innerListener, (key) => this.#rights.get(key) ?? NOTHING);
    this.#update(config);
  }

  reconfigure(config: Config): void {
    this.#update(config);
  }

  #update({ http }: Config): void {
    const gone = new Set(this.#rights.keys());
    for (const { name, role, client, quota } of http.tokens) {
      if (role !== 'request') continue;
      const key = keyOfToken(name);
      gone.delete(key);
      const rights = this.#rights.get(key) ?? { ...NOTHING };
      this.#rights.set(key, rights);
      const written = { client, worker: [], operator: false, quota, peer: false };
      if (updateRights(rights, written)) this.#loop.rightsChanged(key);
    }
    for (const key of gone) {
      Object.assign(this.#rights.get(key) ?? {}, NOTHING);
      this.#rights.delete(key);
      this.#loop.rightsChanged(key);
    }
  }
}
