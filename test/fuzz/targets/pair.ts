/**
 * A pair whose link brings frames that neither node has sent: those that can be read and that the
 * machine does not object to are heard. Without them, two nodes never serve in one epoch; with them,
 * epochs stay within their bounds, nothing throws, and nothing is sent without end.
 */
import { Frames } from '../../../src/core/frames.js';
import { readPeer, writePeer } from '../../../src/wire/pair-codec.js';
import { PEER_STATES, type PeerMessage } from '../../../src/wire/pair.js';
import { PairStage } from '../../support/pair-stage.js';
import { check, Script, type Target } from '../target.js';

const EPOCH_END = 2 ** 24;
const EPOCHS = [0, 1, 2, 3, 4, 100, 4095, 4097, EPOCH_END - 1, EPOCH_END, 2 ** 53 - 2];
const NUMBERS = [0, 1, 2, 1000, 2 ** 32, 2 ** 53 - 1];
const WAITS_MS = [1, 3, 60, 500, 1100, 2500];
const STORE_ID = Buffer.alloc(16, 2);

function messageOf(script: Script): PeerMessage {
  const epoch = script.pick(EPOCHS);
  const number = script.pick(NUMBERS);
  const holds = { storeId: STORE_ID, upTo: number, bodiesUpTo: script.pick(NUMBERS) };
  switch (script.below(8)) {
    case 0:
    case 1: {
      const [state, offers] = [script.pick(PEER_STATES), script.below(2) === 1];
      return { kind: 'status', state, epoch, offers, holds, keys: null, listenerKeys: null };
    }
    case 2:
      return { kind: 'join', epoch, holds: script.below(2) === 0 ? null : holds };
    case 3: {
      const isLast = script.below(2) === 1;
      const records = Buffer.from('injected');
      return { kind: 'records', epoch, index: script.below(3), isLast, holds, records };
    }
    case 4:
      return { kind: 'taken', epoch, index: script.below(3), number, joined: 1, ranTwice: 0 };
    case 5:
      return { kind: 'update', epoch, number, holdsUpTo: 0, batch: Buffer.from('word') };
    case 6:
      return { kind: 'confirm', epoch, number, became: script.pick(NUMBERS) };
    default:
      return script.below(2) === 0
        ? { kind: 'probe', epoch, number }
        : { kind: 'probed', epoch, number };
  }
}

/** As it comes over the wire. */
function carried(message: PeerMessage): PeerMessage | null {
  const frames = Frames.of(...writePeer(message, { incarnation: 1, sequence: 1 }));
  const read = readPeer(frames);
  return read !== null && 'message' in read ? read.message : null;
}

function fresh(isSealed: boolean): PairStage {
  const stage = new PairStage({ isSealed });
  stage.primary.start();
  stage.backup.start();
  stage.pass(5);
  return stage;
}

function run(input: Buffer): void {
  const script = new Script(input);
  const isSealed = script.below(2) === 1;
  // In sync, or just started: then nobody knows of an epoch.
  const stage = script.below(2) === 0 ? PairStage.inSync({ isSealed }) : fresh(isSealed);
  const nodes = [stage.primary, stage.backup] as const;
  let isTold = false;
  let words = 0;
  while (!script.isAtEnd) {
    const node = nodes[script.below(2)] ?? stage.primary;
    switch (script.below(10)) {
      case 0:
      case 1: {
        const message = carried(messageOf(script));
        if (message === null || !node.isUp || !node.isConnected) break;
        isTold = true;
        const { state } = node;
        const isWrong = node.machine.objectionTo(message) !== null;
        node.machine.message(message);
        check(!isWrong || node.state === state, 'a message that is objected to changes the state');
        break;
      }
      case 2:
        node.ask();
        break;
      case 3:
        stage.cut();
        break;
      case 4:
        stage.heal();
        break;
      case 5:
        if (node.isUp && words < 20) node.store(`word${words++}`);
        break;
      case 6:
        if (script.below(4) !== 0) break;
        if (node.isUp) node.crash();
        else node.start();
        break;
      case 7:
        if (node.isUp && script.below(4) === 0) node.machine.promote();
        break;
      case 8:
        if (node.isUp && script.below(2) === 0) node.machine.switchover();
        break;
      default:
        stage.pass(script.pick(WAITS_MS));
    }
    look(stage, isTold);
  }
}

function look({ primary, backup }: PairStage, isTold: boolean): void {
  for (const node of [primary, backup]) {
    check(node.disk.epoch < EPOCH_END, `epoch ${node.disk.epoch} is written`);
    if (!node.isUp) continue;
    const { epoch, seenEpoch } = node.machine.facts;
    check(epoch < EPOCH_END && seenEpoch < EPOCH_END, `epoch ${epoch} of ${seenEpoch} is known`);
  }
  if (isTold || !primary.isUp || !backup.isUp) return;
  if (primary.service !== 'serving' || backup.service !== 'serving') return;
  const epochs = [primary.machine.facts.epoch, backup.machine.facts.epoch];
  check(epochs[0] !== epochs[1], `both serve in epoch ${epochs.join()}`);
}

export function pair(): Target {
  return {
    name: 'pair',
    bytesMax: 192,
    seeds: [
      Buffer.from([0, 0, 0, 5, 0, 9, 2, 1, 2, 0, 3, 1, 9, 5, 1, 2, 0, 9, 2, 0, 4, 0, 9, 4]),
      Buffer.from([1, 1, 0, 0, 8, 0, 3, 0, 0, 3, 0, 9, 5, 0, 2, 0, 9, 5, 0, 2, 0, 9, 5]),
      Buffer.from([1, 0, 0, 0, 5, 2, 0, 0, 3, 0, 1, 9, 1, 1, 0, 9, 0, 0, 2, 1, 1, 9, 5]),
      Buffer.from([0, 0, 0, 8, 1, 0, 9, 4, 1, 8, 1, 1, 9, 3, 0, 6, 0, 0, 9, 5, 0, 6, 0, 9, 5]),
    ],
    run,
    // A stage keeps all that ever happened, and looks at all of it.
    repeat: (input) => input,
  };
}
