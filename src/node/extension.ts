/**
 * An extension of a node (`src/extensions/`), and all that the node knows of it. `extensions/list.ts` has
 * all of them. The order of that list is the order in which they are attached, and its reverse the order in
 * which they are closed, also after a start that failed half-way. Its code but for its table of events is
 * loaded only where the configuration enables it (`config/enabled.ts`).
 */
import type { Broker } from '../broker/broker.js';
import type { BrokerLoop, Companion } from '../broker/io/loop.js';
import type { ListenerRules } from '../broker/rights.js';
import type { RequestTrace } from '../broker/request-trace.js';
import type { Reason } from '../admin/api/node-answers.js';
import type { Pace } from '../admin/http/pace.js';
import type { Route } from '../admin/http/route.js';
import type { Refusals } from '../admin/log/refusals.js';
import type { EventSink, EventTable, NamedEvent } from '../core/event-table.js';
import type { MetricsPart } from '../admin/metrics/metrics.js';
import type { ExtensionName } from '../config/enabled.js';
import type { Config } from '../config/config.js';
import type { TransportName } from '../config/entries.js';
import type { Finding } from '../core/finding.js';
import type { Holdings } from '../core/holdings.js';
import type { Mmi } from '../mmi/mmi.js';
import type { DatabaseTool, StoreConfig } from '../store/database-tools.js';
import type { OpenRouter } from '../zmtp/several.js';
import type { Names } from '../zmtp/sockets/names.js';
import type { Keys } from './io/keys.js';
import type { Renewal } from './reload.js';
import type { TitanicDeps, TitanicHost } from './stored.js';

export interface Extension {
  readonly name: ExtensionName;
  /** Attached before the store of durable requests is opened, and closed after it. */
  readonly isFirst?: boolean;
  /** The events of the extension. */
  readonly events?: EventTable;
  /**
   * Finds out, for `majordomo doctor`, whether it would work.
   * @param file of the configuration; `null`: there is none
   * @param served whether a broker answers at the listeners of this configuration
   */
  readonly check?: (
    config: Config,
    file: string | null,
    served: boolean,
  ) => Promise<readonly Finding[]>;
  /** Ports that it opens for peers, each with `limits.connections`. */
  readonly ports?: number;
  /**
   * The part of the store that it keeps records in (store/ranked.ts): its number, 1 to 255, and what a
   * record and several are called in `verify` and `migrate`.
   */
  readonly part?: { readonly number: number; readonly one: string; readonly more: string };
  /** The store in a database, for commands. @throws ERR_CONFIG_INVALID, ERR_CONFIG_FILE */
  readonly database?: (config: StoreConfig) => Promise<DatabaseTool>;
  /** Opens the store of durable requests in place of a file. @throws the store's errors */
  readonly openStore?: (deps: TitanicDeps) => Promise<TitanicHost>;
  /**
   * Makes the routes of the extension over HTTP, also where it is not wanted: they say so. Called only
   * if HTTP is on, and before `attach`.
   */
  readonly routes?: (config: Config) => Promise<(pace: Pace) => readonly Route[]>;
  /** What its own peers may do, which are in this process, at a listener that only they use. */
  readonly inner?: ListenerRules;
  /** Connects it with the parts of the node. @throws with a stable code: the node does not start */
  attach?(host: Host): Promise<Attached>;
}

/** The parts of a node, for its extensions. */
export interface Host {
  readonly config: Config;
  /** The configuration in effect now: see `Attached.reconfigure`. */
  readonly current: Config;
  /** The path of the data directory. */
  readonly dataDir: string;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly mmi: Mmi;
  readonly keys: Keys;
  readonly holdings: Holdings;
  /** How names that are listened on are found; the log tells their addresses. */
  readonly names: Names;
  readonly refusals: Refusals;
  /** `null`: nothing is stored. */
  readonly stored: TitanicHost | null;
  /** Log, HTTP and the stream of events. */
  readonly events: EventSink<NamedEvent>;
  /** The index of the listener of the extension that has one in this process. */
  readonly innerListener: number;
  /** All events that a node of this program may have. */
  readonly eventTable: EventTable;
  /** `Attached.trace` has another value. */
  traceChanged(): void;
}

/** An extension that is attached to a node. */
export interface Attached {
  /** The extension's turns in the broker's loop, after the broker's own, on every node. */
  readonly turns?: Companion;
  /** The turns of an extension that serves where the broker does: in a pair, on the active node only. */
  readonly served?: ServedPart;
  /** Where the extension listens itself. */
  readonly listens?: {
    /** The name in `mmi.broker`, and in the line of the log that says that the node is ready. */
    readonly as: 'events' | 'map';
    readonly shown: string;
    /** `null`: not yet. */
    readonly endpoint: string | null;
  };
  /** Carries listeners of the broker. */
  readonly transport?: { readonly name: TransportName; readonly open: OpenRouter };
  /** Carries the peers of the extension in this process: see `Extension.inner`. */
  readonly inner?: OpenRouter;
  readonly metrics?: MetricsPart;
  /** Told of each step of a plain request; `null`: not now. */
  readonly trace?: RequestTrace | null;
  /** Why this node serves worse than it should. */
  readonly degraded?: readonly Reason[];
  /** The secret keys of the section of the configuration in which its own `listen` is. */
  readonly keyed?: Renewal;
  /** Opens its sockets. Called before clients are served, and after the pair was started. */
  open?(): Promise<void>;
  /** Takes each event of the node. */
  emit?(event: NamedEvent): void;
  /** What can change while the node runs has changed. */
  reconfigure?(config: Config): void;
  /** The rights of a key have changed, or it is gone. */
  rightsChanged?(key: string): void;
  /** Called before the broker drains. */
  drain?(): void;
  /** Called after the broker has drained, or after a failed start. */
  close?(): Promise<void>;
}

/** What serves where the broker does. While the state of the peer is unknown, it takes no turns (D19). */
export interface ServedPart extends Companion {
  /** @param epoch on disk, and above all before it */
  activate(epoch: number): void;
  deactivate(): void;
  /** Serves from now on: the node is in no pair. */
  activateAlone(): Promise<void>;
  /** The highest epoch that it has had outside of the pair, above which the pair's go on. */
  epochMax(): Promise<number>;
  /**
   * Called before a pair runs.
   * @param pair while `isFenced`, nothing may be shown; `voted` is called when a client asks this node,
   * which does not serve
   */
  joinPair(pair: { readonly isFenced: boolean; voted(): void }): void;
}
