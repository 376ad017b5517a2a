import { labelText } from '../../admin/metrics/exposition.js';
import type { MetricsPart } from '../../admin/metrics/metrics.js';
import type { BrokerEvent } from '../../broker/broker-events.js';
import type { Config } from '../../config/config.js';
import { quotasOf } from '../../config/quotas.js';
import { parseWebhookHosts } from '../../config/webhook-hosts.js';
import { monotonicMs } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { escapeName } from '../../core/escape.js';
import type { Attached, Host, ServedPart } from '../../node/extension.js';
import { NOTHING, type Rights, updateRights, type WrittenRights } from '../../node/key-rights.js';
import type { StoreFailure } from '../../store/store.js';
import { WEBHOOKS } from '../../titanic/machine/requests/webhooks.js';
import { shownAddress } from '../../zmtp/identity.js';
import type { OpenRouter } from '../../zmtp/several.js';
import { Callers, keyOfToken } from './callers.js';
import type { ProgramsEvent } from './programs-events.js';
import { KeyedRequests } from './keyed.js';
import { readWebhookSecrets } from './webhook-message.js';
import { WebhookTargets } from './webhook-target.js';
import { Webhooks, type WebhookSettings } from './webhooks.js';

const NO_RIGHTS: WrittenRights = {
  client: [],
  worker: [],
  operator: false,
  quota: null,
  peer: false,
};

/** Programs over HTTP: their rights, their connections to the broker, and their webhooks. */
export class AttachedPrograms implements Attached {
  readonly callers: Callers;
  readonly keys: KeyedRequests;
  readonly inner: OpenRouter;
  readonly #loop: Host['loop'];
  /** By key. An object stays, and what it says changes: peers that are free have it, also if the token comes back. */
  readonly #rights = new Map<string, Rights>();
  readonly #events: Host['events'];
  /** `null`: nothing is stored. */
  readonly #webhooks: Webhooks | null;
  #settings: WebhookSettings | null;
  #config: Config;
  readonly #stored: Host['stored'];

  /** @throws ERR_CONFIG_FILE */
  constructor({ broker, loop, keys, config, innerListener, stored, events }: Host) {
    this.#loop = loop;
    this.#events = events;
    this.#stored = stored;
    this.#settings = settingsOf(config);
    this.callers = new Callers(innerListener);
    this.#config = config;
    this.keys = new KeyedRequests(config.broker.resumeMs, {
      mayRequest: (token, service) =>
        this.#rightsOf(keyOfToken(token)).client.matches(service, 0, service.length),
      keysMax: (token) => quotasOf(this.#config, this.#rightsOf(keyOfToken(token)).quota).sessions,
      refused: ({ token, service }, from, { quota, text }) => {
        if (quota !== null) broker.counters.quotas[quota]++;
        const reason = quota === null ? 'limit' : 'quota';
        const address = shownAddress(from ?? undefined);
        const who = { service: escapeName(service), key: keyOfToken(token), address };
        const event: BrokerEvent = { name: 'request.refused', ...who, reason, text };
        events.emit(event);
      },
    });
    this.inner = this.callers.open;
    keys.within(innerListener, this.#rightsOf);
    this.#update(config);
    this.#webhooks = stored === null ? null : new Webhooks(stored, loop, () => this.#settings);
    if (this.#webhooks === null) return;
    broker.storedDeliveries.serve(WEBHOOKS, this.#webhooks);
    const isOff = 'webhooks are off: see http.webhookHosts';
    stored?.titanic.acceptWebhooks((url) =>
      this.#settings === null ? isOff : this.#settings.targets.fault(url),
    );
  }

  /** Whether the store has this idempotency key of a token; `undefined`: there is no store. */
  hasKey(token: string, service: Buffer, key: string): Promise<boolean | StoreFailure> | undefined {
    const owner = `key:${keyOfToken(token)}` as const;
    return this.#stored?.hasKey({ service, key: Buffer.from(key), owner });
  }

  reconfigure(config: Config): void {
    this.#config = config;
    for (const key of this.#update(config)) {
      this.#loop.rightsChanged(key);
      // By then the broker has refused what waits, and HTTP has ended what a token started that is gone.
      this.#loop.afterNextTurn(() => this.callers.rightsChanged(key, this.#rightsOf(key)));
    }
    try {
      this.#settings = settingsOf(config);
    } catch (error) {
      const event: ProgramsEvent = { name: 'webhooks.refused', text: messageOf(error) };
      this.#events.emit(event);
    }
    this.#webhooks?.changed();
  }

  /** So the keys know since when this node serves. */
  readonly served: ServedPart = {
    setTime: () => undefined,
    run: () => undefined,
    dueInMs: () => Infinity,
    isSettled: true,
    activate: () => this.keys.serves(monotonicMs()),
    deactivate: () => this.keys.serves(null),
    activateAlone: () => {
      this.keys.serves(monotonicMs());
      return Promise.resolve();
    },
    epochMax: () => Promise.resolve(0),
    joinPair: (pair) => {
      this.keys.voted = () => pair.voted();
    },
  };

  readonly metrics: MetricsPart = {
    write: (out) => {
      out.metric('webhooks_failed_in_a_row');
      for (const [host, count] of this.#webhooks?.failing ?? []) {
        out.sample(labelText('host', host), count);
      }
    },
  };

  drain(): void {
    this.#webhooks?.drain();
  }

  close(): Promise<void> {
    this.#webhooks?.close();
    return Promise.resolve();
  }

  readonly #rightsOf = (key: string): Readonly<Rights> => this.#rights.get(key) ?? NOTHING;

  /** @returns the keys whose rights have changed */
  #update({ http }: Config): readonly string[] {
    const written = new Map(
      [...this.#rights.keys()].map((key): [string, WrittenRights] => [key, NO_RIGHTS]),
    );
    for (const { name, role, client, quota } of http.tokens) {
      if (role === 'request') written.set(keyOfToken(name), { ...NO_RIGHTS, client, quota });
    }
    return [...written].flatMap(([key, each]) => {
      const rights = this.#rights.get(key) ?? { ...NOTHING };
      this.#rights.set(key, rights);
      return updateRights(rights, each) ? [key] : [];
    });
  }
}

/** @returns `null`: webhooks are off. @throws ERR_CONFIG_FILE */
function settingsOf({ http: { webhookHosts, webhookSecretFile } }: Config): WebhookSettings | null {
  const hosts = webhookHosts === null ? null : parseWebhookHosts(webhookHosts);
  if (hosts === null || typeof hosts === 'string' || webhookSecretFile === null) return null;
  const secrets = readWebhookSecrets(webhookSecretFile);
  return { targets: new WebhookTargets(hosts), secrets };
}
