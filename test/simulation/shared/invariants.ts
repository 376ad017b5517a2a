/** What holds at every moment of a world of brokers on one database, and what holds at its end. */
import { isWork } from '../../../src/store/record-kind.js';
import { Frames } from '../../../src/core/frames.js';
import { unpack } from '../../../src/core/packed.js';
import type { OtherSession } from '../../../src/extensions/postgres/session.js';
import { countServices } from '../../../src/testing/memory-rows.js';
import type { Change } from '../../../src/store/store.js';
import { countText } from '../stored/cast.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import type { SharedDatabase } from './database.js';
import type { SharedNode } from './node.js';
import type { DatabaseServer } from './server.js';

const UUID_BYTES = 16;

/** Who runs what, and by what right. */
export class ClaimWatch {
  readonly #server: DatabaseServer;
  readonly #leaseMs: number;
  readonly #nodes: readonly SharedNode[];
  readonly #clock: SimClock;
  /** By the first frame of the body. */
  readonly #uuids = new Map<string, Buffer>();
  /** By broker and uuid: with which session it last began to run it. */
  readonly #sessions = new Map<SharedNode, Map<string, number>>();

  constructor(
    server: DatabaseServer,
    leaseMs: number,
    nodes: readonly SharedNode[],
    clock: SimClock,
  ) {
    this.#server = server;
    this.#leaseMs = leaseMs;
    this.#nodes = nodes;
    this.#clock = clock;
  }

  /** Called often: what is stored is known by its body. */
  look(): void {
    for (const { request, body } of this.#server.database.rows) {
      const frames = new Frames();
      unpack(body, 0, body.length, frames);
      this.#uuids.set(frames.view(0).toString('latin1'), request.uuid);
      const { attempts, maxAttempts, kind } = request;
      hold(!isWork(kind) || attempts <= maxAttempts, 'more attempts than are allowed');
    }
  }

  /** A worker of this broker gets a request. */
  runs(node: SharedNode, text: string): void {
    // The requests of a schedule all have the same body.
    if (text.startsWith('k')) return;
    this.look();
    const uuid = this.#uuids.get(text);
    const { session } = node;
    hold(session !== null, `${node.name} runs ${text} before its store is open`);
    hold(node.hasSession, `${node.name} runs ${text} without a session`);
    if (uuid === undefined) return;
    const name = uuid.toString('hex');
    const { database } = this.#server;
    const claim = database.claimOf(uuid);
    const isMine = claim === null || claim.session === session;
    hold(
      isMine || !database.isAlive(session),
      `${node.name} runs ${text} in session ${session}, and ${claim?.session ?? 'nobody'} has it`,
    );
    for (const other of this.#nodes) {
      if (other === node || !isOut(other, uuid)) continue;
      const began = this.#sessions.get(other)?.get(name) ?? 0;
      hold(!database.isAlive(began), `${node.name} runs ${text}, which ${other.name} runs`);
    }
    const own = this.#sessions.get(node) ?? new Map<string, number>();
    own.set(name, session);
    this.#sessions.set(node, own);
  }

  /** What a schedule is due for is stored only by the broker that has it, as far as that can know. */
  commits({ name, hasSession }: SharedNode, changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== 'advance') continue;
      const row = this.#server.database.row(change.uuid);
      if (row?.request.kind !== 'schedule') continue;
      hold(change.claim !== undefined, `${name} fires a schedule that it has not claimed`);
      hold(hasSession, `${name} fires a schedule without a session`);
    }
  }

  /** After the database was away, no session of another is ended before a whole lease has passed. */
  otherEnded(by: SharedNode, { node, session }: OtherSession): void {
    const { upSince } = this.#server;
    const isGrace = this.#clock.now < upSince + this.#leaseMs;
    hold(!isGrace, `${by.name} ends session ${session} of ${node} at once after an outage`);
  }
}

function isOut({ titanic }: SharedNode, uuid: Buffer): boolean {
  const out = titanic?.operatorHost().requests.dispatcher.out ?? Buffer.alloc(0);
  for (let at = 0; at < out.length; at += UUID_BYTES) {
    if (uuid.equals(out.subarray(at, at + UUID_BYTES))) return true;
  }
  return false;
}

/** Everything is answered, and the weather is good. */
export function checkEnd(database: SharedDatabase): void {
  for (const { request } of database.rows) {
    const { uuid, kind } = request;
    const session = database.claimOf(uuid)?.session ?? null;
    if (session === null) continue;
    const isDead = !database.isAlive(session);
    hold(!isDead, `${uuid.toString('hex')} is claimed by session ${session}, which is dead`);
    hold(kind === 'schedule', 'nothing is left, but something is claimed');
  }
}

/** What a broker still has and has not claimed, because its worker does not reply; `null`: none. */
export function leftAt(database: SharedDatabase, nodes: readonly SharedNode[]): string | null {
  for (const { name, titanic, session } of nodes) {
    if (titanic === null || session === null) return `${name} does not run`;
    const { dispatcher } = titanic.operatorHost().requests;
    for (const slot of dispatcher.slots()) {
      const uuid = dispatcher.index.uuid(slot);
      const isClaimed = database.claimOf(uuid)?.session === session;
      if (!isClaimed) return `${name} has ${uuid.toString('hex')}, not claimed`;
    }
  }
  return null;
}

/** What a broker counts, and is not there; `null`: all agree. */
export function miscountOf(database: SharedDatabase, nodes: readonly SharedNode[]): string | null {
  const rows = database.rows.filter(({ request }) => isWork(request.kind));
  const there = countServices(rows).map(countText).join();
  for (const { name, titanic } of nodes) {
    if (titanic === null) return `${name} does not run`;
    const { pending, replied, dead } = titanic.figures.counts;
    const kept = [...titanic.figures.services.services.values()]
      .sort((one, other) => one.service.compare(other.service))
      .map(countText)
      .join();
    if (kept !== there) return `${name} counts ${kept}, there is ${there}`;
    for (const [state, count] of Object.entries({ pending, replied, dead })) {
      const has = rows.filter(({ request }) => request.state === state).length;
      if (count !== has) return `${name} counts ${count} ${state}, there are ${has}`;
    }
  }
  return null;
}
