import type { Interconnect, InternalClient, Submitter } from '../../src/broker/ports.js';
import { Frames } from '../../src/core/frames.js';
import { pack, packedBytes } from '../../src/core/packed.js';
import type { Stage } from './stage.js';

/** Brings requests of other brokers, and knows none that has a worker. */
class StageInterconnect implements Interconnect {
  readonly incoming: Submitter;

  constructor(incoming: Submitter) {
    this.incoming = incoming;
  }

  wanted(): void {
    // Nobody can be asked.
  }

  seek(): 'absent' {
    return 'absent';
  }

  ask(_service: Buffer, answer: (isServed: boolean) => void): void {
    answer(false);
  }
}

/** Whose requests they are: those that Titanic stores, or those of other brokers. */
export type SubmitterKind = 'stored' | 'bridged';
export const SUBMITTERS: readonly SubmitterKind[] = ['stored', 'bridged'];

/** Keeps requests under its own numbers and records what it is told about them. */
export class StageInternalClient implements InternalClient {
  readonly stage: Stage;
  readonly #kind: SubmitterKind;
  #heard: string[] = [];
  readonly ids = new Map<number, number>();
  /** Of its requests; those that are not here have none. */
  readonly headers = new Map<number, Buffer>();

  constructor(made: Stage, kind: SubmitterKind = 'stored') {
    this.stage = made;
    this.#kind = kind;
    made.alone();
    if (kind === 'stored') made.broker.storedDeliveries.attach(this);
    else made.broker.connect(new StageInterconnect(this));
  }

  tookTurn(): void {}

  groupRoomAt(): void {}

  roomAt(service: Buffer): void {
    this.#heard.push(`room at ${service.toString()}`);
  }

  dispatched(reference: number): void {
    this.#heard.push(`${reference} out`);
  }

  progressed(reference: number): void {
    this.#heard.push(`${reference} progressed`);
  }

  replied(reference: number, frames: Frames, from: number): void {
    const body = frames.copyFrom(from).map((frame) => frame.toString('latin1'));
    this.ids.delete(reference);
    this.#heard.push(`${reference} replied ${body.join('|')}`);
  }

  failed(reference: number, reason: string, isKnown: boolean): void {
    if (!isKnown) this.ids.delete(reference);
    this.#heard.push(`${reference} failed ${reason}${isKnown ? '' : ', forgotten'}`);
  }

  handedBack(reference: number): void {
    this.#heard.push(`${reference} back`);
  }

  heard(): string[] {
    return this.#heard.splice(0);
  }

  submits(reference: number, service = 'echo', ...body: string[]): boolean {
    const frames = Frames.of(...(body.length > 0 ? body : [`s${reference}`]));
    const packed = Buffer.alloc(packedBytes(frames, 0, frames.count));
    pack(frames, 0, frames.count, packed, 0, false);
    const taken: number[] = [];
    this.stage.input((broker) => {
      const again = this.ids.get(reference) ?? null;
      const headers = this.headers.get(reference) ?? null;
      const content = { body: packed, headers };
      const { storedDeliveries } = broker;
      const name = Buffer.from(service);
      const id =
        this.#kind === 'stored'
          ? storedDeliveries.submit(name, reference, content, again)
          : storedDeliveries.bridge(name, reference, content);
      if (id !== null) taken.push(id);
      packed.fill(0xee);
    });
    for (const id of taken) this.ids.set(reference, id);
    return taken.length > 0;
  }

  withdraws(reference: number): void {
    this.stage.input((broker) => broker.storedDeliveries.withdraw(this.ids.get(reference) ?? -1));
    this.ids.delete(reference);
  }
}

/** Everyone whose requests workers get. */
export const SENDERS = ['plain', ...SUBMITTERS] as const;

/** A client, or a part of the broker's process. @returns sends one request for `echo` */
export function senderOn(s: Stage, who: (typeof SENDERS)[number]): (body: string) => void {
  if (who === 'plain') {
    const client = s.client('c1');
    return (body) => client.request('echo', body);
  }
  const internal = new StageInternalClient(s, who);
  let last = 0;
  return (body) => internal.submits(++last, 'echo', body);
}
