/** Everything that can happen next in a state of the world. */
import { factsAtStart } from '../../src/bstar/facts.js';
import {
  ABSENT,
  CLOSED,
  climb,
  type NodeState,
  other,
  PENDING,
  REPLIED,
  type Side,
  type World,
} from './world.js';

export interface Action {
  readonly name: string;
  readonly run: (world: World) => void;
}

export const NAMES = ['primary', 'backup'] as const;

/** What happens by itself, sooner or later, once nothing disturbs it. */
export function dueActions(world: World): Action[] {
  const found: Action[] = [];
  for (const side of [0, 1] as const) {
    if (world.state.nodes[side].standing === 'up') dueAt(world, side, found);
  }
  if (canConnect(world)) {
    found.push({
      name: 'the backup dials',
      run: (w) => w.connect(),
    });
  }
  return found;
}

function dueAt(world: World, side: Side, found: Action[]): void {
  const { nodes, queues, stalled } = world.state;
  const node = nodes[side];
  const { facts } = node;
  const add = (name: string, run: Action['run']): void => {
    found.push({ name: `${NAMES[side]}: ${name}`, run });
  };
  if (facts.writing !== null) {
    add('epoch written', (w) => w.written(side));
  }
  if (node.flight?.isCommitted === false) {
    add('committed', (w) => w.commit(side));
  }
  if (node.merging !== null) {
    add('merge committed', (w) => w.mergeDone(side));
  }
  if (facts.progress === 'shipping') {
    add('sends what the peer lacks', (w) => w.ship(side));
  }
  if (facts.link && !stalled[side]) {
    const frame = queues[side][0];
    if (frame !== undefined) {
      add(`reads ${frame.kind}`, (w) => {
        w.deliver(side);
        w.unfenced(side);
      });
    } else if (!nodes[other(side)].facts.link || nodes[other(side)].standing === 'down') {
      add('sees the end of the connection', (w) => w.closed(side));
    }
  }
  if (facts.handover === 'stopping' && node.flight === null) {
    add('quiet', (w) => w.fsms[side].quiet());
  }
  if (facts.fenced && facts.peerDead) throw new Error('fenced, though it knows its peer');
}

/** A client's request at a node that does not serve, but would for a vote. */
export function votes(world: World): Action[] {
  return ([0, 1] as const).flatMap((side): Action[] => {
    if (world.state.nodes[side].standing !== 'up') return [];
    if (world.fsms[side].service !== 'voting') return [];
    return [
      {
        name: `${NAMES[side]}: a client votes`,
        run: (w) => w.fsms[side].vote(),
      },
    ];
  });
}

/** Time-outs that may run out now. */
export function timeouts(world: World): Action[] {
  const found: Action[] = [];
  for (const side of [0, 1] as const) {
    const node = world.state.nodes[side];
    if (node.standing !== 'up') continue;
    if (!node.facts.peerDead && isSilent(world, side)) {
      found.push({
        name: `${NAMES[side]}: the peer is silent`,
        run: (w) => {
          w.fsms[side].silent();
          w.unfenced(side);
        },
      });
    }
    if (node.facts.handover !== 'none') {
      found.push({
        name: `${NAMES[side]}: nobody takes over`,
        run: (w) => w.fsms[side].declined(),
      });
    }
    if (
      !node.facts.peerDead &&
      node.facts.doubt &&
      node.flight?.awaits === true &&
      node.facts.progress === 'none'
    ) {
      found.push({
        name: `${NAMES[side]}: a confirmation is out for too long`,
        run: (w) => w.fsms[side].overdue(),
      });
    }
  }
  return found;
}

/** Nothing can have come for two heartbeats, and nothing is there to be read. */
function isSilent(world: World, side: Side): boolean {
  const { nodes, stalled, queues } = world.state;
  const peer = nodes[other(side)];
  const node = nodes[side];
  if (node.facts.link && queues[side].length > 0 && !stalled[side]) return false;
  if (peer.standing !== 'up' || stalled[side]) return true;
  return !node.facts.link && (stalled[0] || stalled[1]);
}

function canConnect(world: World): boolean {
  const { nodes, stalled } = world.state;
  if (stalled[0] || stalled[1]) return false;
  if (nodes[0].standing !== 'up' || nodes[1].standing !== 'up') return false;
  return !nodes[1].facts.link;
}

// ---------------------------------------------------------------- clients

/** What clients and workers do at a node that serves. */
export function traffic(world: World): Action[] {
  const found: Action[] = [];
  for (const side of [0, 1] as const) {
    const node = world.state.nodes[side];
    if (!world.isServing(side)) continue;
    for (const [request, shown] of world.state.shown.entries()) {
      const step = node.steps[request] ?? ABSENT;
      if (step === REPLIED && shown.any < REPLIED && node.flight?.request !== request) {
        found.push({
          name: `${NAMES[side]}: a client reads reply ${request}`,
          run: (w) => w.show(request, REPLIED, w.fsms[side].isInSync),
        });
      }
      const isWanted = shown.any >= PENDING && !shown.isCloseSent && step === ABSENT;
      if (isWanted && world.fsms[side].isInSync && !node.isProbing && node.flight === null) {
        found.push({
          name: `${NAMES[side]}: a client asks for ${request}`,
          run: (w) => w.probe(side),
        });
      }
      if (node.flight === null) changes(side, request, step, shown, found);
    }
  }
  return found;
}

function changes(
  side: Side,
  request: number,
  step: number,
  shown: { readonly isSubmitted: boolean; readonly any: number },
  found: Action[],
): void {
  const add = (name: string, to: number, note: Action['run']): void => {
    found.push({
      name: `${NAMES[side]}: ${name} ${request}`,
      run: (w) => {
        note(w);
        w.begin(side, request, to);
      },
    });
  };
  if (!shown.isSubmitted) {
    add('accepts', PENDING, (w) => {
      const of = w.state.shown[request];
      if (of !== undefined) of.isSubmitted = true;
    });
  }
  if (step === PENDING) add('a worker replies', REPLIED, () => undefined);
  // Only who has the uuid can close.
  if (shown.any >= PENDING && step !== CLOSED) {
    add('a client closes', CLOSED, (w) => {
      const of = w.state.shown[request];
      if (of !== undefined) of.isCloseSent = true;
    });
  }
}

// ---------------------------------------------------------------- faults

export function faults(world: World): Action[] {
  const found: Action[] = [];
  const { left, nodes, stalled } = world.state;
  for (const side of [0, 1] as const) {
    const { standing } = nodes[side];
    if (standing === 'down') found.push(start(side));
    if (standing === 'stopped') found.push(resume(side));
    if (standing === 'up' && left.crashes > 0) found.push(...crashes(world, side));
    if (standing === 'up' && left.pauses > 0) found.push(stop(side));
    if (standing === 'up') wishes(world, side, found);
  }
  if (!stalled[0] && !stalled[1]) {
    if (left.cuts > 0) found.push(stall('the link is cut', [0, 1], 'cuts'));
    if (left.stalls > 0) {
      found.push(stall('nothing reaches the primary', [0], 'stalls'));
      found.push(stall('nothing reaches the backup', [1], 'stalls'));
    }
  } else {
    found.push({
      name: 'the link is healed',
      run: (w) => {
        w.state.stalled = [false, false];
      },
    });
  }
  return found;
}

function start(side: Side): Action {
  return {
    name: `${NAMES[side]}: starts`,
    run: ({ state, fsms }) => {
      const node = state.nodes[side];
      node.standing = 'up';
      node.facts = factsAtStart(node.disk);
      fsms[side].facts = node.facts;
      state.queues[side] = [];
    },
  };
}

function resume(side: Side): Action {
  return {
    name: `${NAMES[side]}: goes on after a pause`,
    run: (w) => {
      w.state.nodes[side].standing = 'up';
      w.fsms[side].paused();
    },
  };
}

function stop(side: Side): Action {
  return {
    name: `${NAMES[side]}: stands still`,
    run: ({ state }) => {
      state.nodes[side].standing = 'stopped';
      state.left.pauses--;
      state.isHurt = true;
    },
  };
}

function stall(name: string, sides: readonly Side[], budget: 'cuts' | 'stalls'): Action {
  return {
    name,
    run: ({ state }) => {
      for (const side of sides) state.stalled[side] = true;
      state.left[budget]--;
      state.isTorn = true;
    },
  };
}

/** It ends between any two of its effects: what was on its way to disk or link may be there or not. */
function crashes(world: World, side: Side): Action[] {
  const node = world.state.nodes[side];
  const { writing } = node.facts;
  const sent = world.state.queues[other(side)].length;
  const found: Action[] = [];
  for (const isWritten of writing === null ? [false] : [false, true]) {
    for (const isCommitted of node.flight?.isCommitted === false ? [false, true] : [false]) {
      for (let lost = 0; lost <= sent; lost++) {
        const details = [
          ...(isWritten ? ['its epoch is written'] : []),
          ...(isCommitted ? ['its change is committed'] : []),
          ...(lost > 0 ? [`the last ${lost} frames are not sent`] : []),
        ];
        const name = [`${NAMES[side]}: crashes`, ...details].join(', ');
        found.push({
          name,
          run: (w) => crash(w, side, isWritten, isCommitted, lost),
        });
      }
    }
  }
  return found;
}

function crash(
  { state }: World,
  side: Side,
  isWritten: boolean,
  isCommitted: boolean,
  lost: number,
): void {
  const node = state.nodes[side];
  const { flight } = node;
  const { writing } = node.facts;
  if (isCommitted && flight !== null) climb(node.steps, flight.request, flight.step);
  const disk =
    isWritten && writing !== null
      ? { epoch: writing.epoch, wasActive: writing.wasActive }
      : node.disk;
  const dead: NodeState = {
    standing: 'down',
    disk,
    facts: factsAtStart(disk),
    steps: node.steps,
    flight: null,
    merging: null,
    isProbing: false,
  };
  state.nodes[side] = dead;
  state.queues[side] = [];
  const out = state.queues[other(side)];
  out.length -= lost;
  state.left.crashes--;
  state.isHurt = true;
}

/** What operators do, and a disk so slow that its node does not confirm in time. */
function wishes(world: World, side: Side, found: Action[]): void {
  const { left, nodes } = world.state;
  const { facts, flight } = nodes[side];
  if (left.switchovers > 0 && world.fsms[side].isInSync && facts.handover === 'none') {
    found.push({
      name: `${NAMES[side]}: switchover`,
      run: (w) => {
        w.state.left.switchovers--;
        w.fsms[side].switchover();
      },
    });
  }
  if (left.promotes > 0 && facts.peerDead && facts.writing === null && facts.state !== 'active') {
    found.push({
      name: `${NAMES[side]}: promote`,
      run: (w) => {
        w.state.left.promotes--;
        w.state.isHurt = true;
        w.fsms[side].promote();
      },
    });
  }
  const waits = facts.progress === 'holding' || (flight?.awaits === true && flight.isSent);
  if (left.slow > 0 && waits) {
    found.push({
      name: `${NAMES[side]}: a confirmation is out for too long`,
      run: (w) => {
        w.state.left.slow--;
        w.state.isHurt = true;
        w.fsms[side].overdue();
      },
    });
  }
}
