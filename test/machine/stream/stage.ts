/** A publisher machine with subscribers, as a script drives it. */
import type { Words } from '../../../src/core/bytes.js';
import type { Holdings } from '../../../src/core/holdings.js';
import { Frames } from '../../../src/core/frames.js';
import { unpack } from '../../../src/core/packed.js';
import {
  type AuthoriseTopic,
  FanOut,
  type FanOutLimits,
  type FanOutSink,
} from '../../../src/stream/fan-out.js';
import { seededRandom } from '../../support/stage-random.js';

export class Stage implements FanOutSink {
  readonly fanOut: FanOut;
  /** `1: topic body` for each copy, `1 closed slow` … in order. */
  told: string[] = [];
  /** The buffers in which messages were handed over. */
  readonly handed = new Set<Words>();

  constructor(authorise?: AuthoriseTopic, limits?: Partial<FanOutLimits>, holdings?: Holdings) {
    this.fanOut = new FanOut(this, seededRandom(1), authorise, limits, holdings);
  }

  send(id: number, message: Words, size: number): void {
    const frames = new Frames();
    unpack(message.bytes, 0, size, frames);
    this.handed.add(message);
    this.told.push(`${id}: ${frames.copyFrom(0).map(String).join(' ')}`);
  }

  close(id: number, _info: object, reason: string): void {
    this.told.push(`${id} closed ${reason}`);
  }

  /** What has been told since the last call. */
  news(): string[] {
    const { told } = this;
    this.told = [];
    return told;
  }

  connect(id: number, identity = `ip:${id}`): void {
    this.fanOut.connected(id, { identity, key: null, address: '127.0.0.1' });
  }

  /** A connected subscriber of these topics. */
  subscriber(id: number, ...topics: readonly string[]): void {
    this.connect(id);
    for (const topic of topics) this.subscribe(id, topic);
  }

  subscribe(id: number, topic: string): void {
    this.fanOut.subscription(id, Buffer.from(topic, 'latin1'), true);
  }

  cancel(id: number, topic: string): void {
    this.fanOut.subscription(id, Buffer.from(topic, 'latin1'), false);
  }

  publish(...frames: readonly (string | Buffer)[]): number {
    return this.fanOut.publish(Frames.of(...frames));
  }
}
