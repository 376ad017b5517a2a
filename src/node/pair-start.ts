/** Starts what a node of a pair needs: its epoch file, its keys, its link. */
import { join } from 'node:path';

import type { Broker } from '../broker/broker.js';
import type { BrokerLoop, Companion } from '../broker/io/loop.js';
import type { TransportSink } from '../broker/io/sink.js';
import type { PairEvents } from '../bstar/pair-events.js';
import { EPOCH_FILE, EpochFile } from '../bstar/io/epoch-file.js';
import { dialPeer } from '../bstar/io/peer-dialler.js';
import type { PeerLinkOptions } from '../bstar/io/peer-link.js';
import { listenForPeer } from '../bstar/io/peer-listener.js';
import { linkUnlessPrimary } from '../bstar/io/role-check.js';
import { writeWholeEpoch } from '../bstar/io/whole-epoch.js';
import type { Config } from '../config/config.js';
import { readSecretKey } from '../config/io/secret-key.js';
import { present } from '../core/assert.js';
import { monotonicMs } from '../core/clock.js';
import { MajordomoError, messageOf } from '../core/errors.js';
import { listenFor } from '../core/listen-trouble.js';
import { decodeCurveKey } from '../core/z85.js';
import type { Names } from '../zmtp/sockets/names.js';
import type { Log } from '../admin/log/log.js';
import { tell } from '../admin/log/process-events.js';
import type { CurveClientKeys } from '../zmtp/link.js';
import { PEER_VERSION } from '../wire/pair.js';
import { loadSodium } from '../zmtp/curve/sodium.js';
import type { ServedPart } from './extension.js';
import type { Keys } from './io/keys.js';
import type { ServerKeys } from './server-keys.js';
import { WHOLE_FILE } from './store-completeness.js';
import { type EpochStore, type PairedTitanic, PairNode } from './pair.js';
import type { PairView } from './pair-view.js';
import type { TitanicHost } from './stored.js';
import { turnsOf } from './turns.js';

/** Turns per heartbeat while the link is opened; afterwards the machine says when it is due. */
const LOOKS_PER_BEAT = 4;

export interface StartedPair {
  readonly node: PairNode;
  /**
   * An active node in sync hands over to its peer and logs the outcome. Called before the broker
   * drains.
   */
  leave(): Promise<void>;
  close(): Promise<void>;
}

/** The parts of a node of a pair. */
export interface PairDeps {
  readonly config: Config;
  readonly dataDir: string;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly sink: TransportSink;
  /** `null`: nothing is stored. */
  readonly stored: TitanicHost | null;
  /** What else serves where the broker does. */
  readonly served: readonly ServedPart[];
  /** What runs on both nodes. */
  readonly others: readonly Companion[];
  readonly keys: Keys;
  readonly serverKeys: ServerKeys;
  readonly names: Names;
  readonly view: PairView;
  readonly events: PairEvents;
  readonly log: Log;
  /** The epoch cannot be stored: the process must end. */
  readonly fatal: (error: MajordomoError) => void;
}

/** @throws ERR_BSTAR_EPOCH, ERR_BSTAR_DISK */
export async function startPair(deps: PairDeps): Promise<StartedPair> {
  const { config, dataDir, broker, loop, stored, served, others, view, events, log } = deps;
  const epochs = await Promise.all(served.map((each) => each.epochMax()));
  const file = await EpochFile.open(join(dataDir, EPOCH_FILE), Date.now());
  const wholeFile = join(dataDir, WHOLE_FILE);
  const node = new PairNode({
    config,
    broker,
    wake: () => loop.wake(),
    epochs: epochStore(file, wholeFile, Math.max(0, stored?.epochMax ?? 0, ...epochs), deps.fatal),
    stored: pairedOf(stored),
    served,
    keys: () => deps.keys.digest,
    listenerKeys: () => deps.serverKeys.digests,
    events,
    now: monotonicMs(),
  });
  view.attach(node);
  deps.sink.onVote(() => node.voted());
  for (const each of served) each.joinPair(node);
  const close = async (): Promise<void> => {
    await node.close();
    await file.close();
  };
  const titanic = stored?.titanic ?? null;
  loop.accompany(turnsOf(broker, { titanic, pair: node, served, others }));
  // The peer must hear from this node, although the loop takes no turns before there are clients.
  const beat = setInterval(() => {
    const now = monotonicMs();
    node.look(now);
    node.run(now, (titanic?.isSettled ?? true) && served.every((each) => each.isSettled));
  }, config.bstar.heartbeatIntervalMs / LOOKS_PER_BEAT);
  try {
    await openPeerLink(deps, node, file.incarnation).finally(() => clearInterval(beat));
  } catch (error) {
    await close();
    throw error;
  }
  return { node, leave: () => leave(node, stored, log), close };
}

/** `null`: nothing is replicated, because nothing is stored or `titanic.replication` is off. */
function pairedOf(stored: TitanicHost | null): PairedTitanic | null {
  if (!stored?.replication) return null;
  const { titanic, replication } = stored;
  return { titanic, replication };
}

async function leave(node: PairNode, stored: TitanicHost | null, log: Log): Promise<void> {
  if (!node.machine.isInSync) return;
  const why = await node.commands.switchover();
  if (why === null) {
    stored?.replication?.writeHoldings();
    return;
  }
  tell(log, 'ha.kept', { reason: why }, `stopping without a handover: ${why}`);
}

/** @param epochMax the pair's epochs go on above this one */
function epochStore(
  file: EpochFile,
  wholeFile: string,
  epochMax: number,
  fatal: (error: MajordomoError) => void,
): EpochStore {
  const { epoch, wasActive } = file.persisted;
  return {
    persisted: { epoch: Math.max(epoch, epochMax), wasActive },
    persist: (state, done) => {
      file.persist(state).then(done, (error: unknown) => {
        fatal(new MajordomoError('ERR_BSTAR_DISK', messageOf(error), { cause: error }));
      });
    },
    whole: (epoch) => {
      // Without it `majordomo migrate` asks for --force: no reason to stop serving.
      writeWholeEpoch(wholeFile, epoch).catch(() => undefined);
    },
  };
}

/**
 * Listens for the peer, or dials it. A primary first checks whether the other node is also a
 * primary.
 * @throws ERR_BSTAR_ROLE, ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT, ERR_CONFIG_FILE
 */
async function openPeerLink(
  { config, keys, names }: PairDeps,
  node: PairNode,
  incarnation: number,
): Promise<void> {
  const { role, listen, peer, heartbeatIntervalMs } = config.bstar;
  const options: PeerLinkOptions = {
    introduction: () => node.introduction(),
    incarnation,
    heartbeatIntervalMs,
    version: PEER_VERSION,
    events: node,
  };
  const itsEndpoint = present(peer, 'a pair has bstar.peer');
  const curve = await clientKeys(config);
  if (role === 'backup') {
    node.attach(dialPeer(itsEndpoint, curve ?? undefined, options));
    return;
  }
  const ownEndpoint = present(listen, 'a pair has bstar.listen');
  // The peer may connect at once: no message to it may be lost.
  const link = await listenFor('bstar.listen', () =>
    listenForPeer(ownEndpoint, keys.peerCurve, options, names),
  );
  node.attach(link);
  // Without the peer's key there would be no answer.
  if (config.bstar.curve !== null && curve === null) return;
  node.attach(await linkUnlessPrimary(link, itsEndpoint, curve ?? undefined, options, node.met));
}

/**
 * The keys of the dialling side; `null`: the link is not encrypted, or the peer's key is unknown.
 */
async function clientKeys({ bstar }: Config): Promise<CurveClientKeys | null> {
  const { curve } = bstar;
  if (curve?.serverKey === undefined) return null;
  const secretKey = readSecretKey(curve.secretKeyFile);
  const crypto = await loadSodium();
  const serverKey = present(decodeCurveKey(curve.serverKey), 'the schema checked the key');
  return { serverKey, secretKey, publicKey: crypto.publicKeyOf(secretKey) };
}
