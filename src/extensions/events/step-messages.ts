/**
 * The messages of a request's steps, which are published three times for each request: laid out in
 * advance but for their numbers, so that a step costs no object and no JSON.
 */
import type { RequestStep } from '../../broker/request-trace.js';
import { Words } from '../../core/bytes.js';
import { putFrameHead } from '../../core/packed.js';
import { STREAM_HEADER_BYTES } from '../../wire/stream.js';
import type { PublishedStep } from './topics.js';

/** A body of one short frame. */
const BODY_BYTES_MAX = 255;
/** Two heads, topic and header come before. */
const MESSAGE_BYTES = 512;
/** Services whose JSON is kept. */
const SERVICES_MAX = 1024;
const ZERO = 0x30;
/** Numbers below are written digit by digit. */
const SMALL = 1_000_000_000;

const WORKER: Buffer = Buffer.from(',"worker":');
const DELIVERY: Buffer = Buffer.from(',"delivery":');
const END: Buffer = Buffer.from('}');

/** A kind of message, packed: `topic, header, body`. The header is the publisher's to fill. */
export class StepMessage {
  readonly words: Words = new Words(Buffer.alloc(MESSAGE_BYTES));
  /** Where the header is. */
  readonly headerAt: number;
  /** The whole message. */
  size = 0;
  readonly #bodyAt: number;
  readonly #variableAt: number;

  constructor(name: PublishedStep) {
    const { bytes } = this.words;
    const topicAt = putFrameHead(bytes, 0, Buffer.byteLength(name), true);
    const topicEnd = topicAt + bytes.write(name, topicAt, 'latin1');
    this.headerAt = putFrameHead(bytes, topicEnd, STREAM_HEADER_BYTES, true);
    this.#bodyAt = putFrameHead(bytes, this.headerAt + STREAM_HEADER_BYTES, 0, false);
    const opening = `{"event":${JSON.stringify(name)},"request":`;
    this.#variableAt = this.#bodyAt + bytes.write(opening, this.#bodyAt, 'latin1');
  }

  begin(request: number): void {
    this.size = this.#variableAt;
    this.add(request);
  }

  /** A number that is an integer and not negative. */
  add(number: number): void {
    const { bytes } = this.words;
    if (number >= SMALL) {
      this.size += bytes.write(String(number), this.size, 'latin1');
      return;
    }
    let digits = 1;
    for (let limit = 10; number >= limit; limit *= 10) digits++;
    const end = this.size + digits;
    let left = number | 0;
    for (let at = end - 1; at >= this.size; at--) {
      const rest = (left / 10) | 0;
      bytes[at] = ZERO + left - rest * 10;
      left = rest;
    }
    this.size = end;
  }

  text(text: Buffer): void {
    const { bytes } = this.words;
    for (let index = 0; index < text.length; index++) bytes[this.size + index] = text[index] ?? 0;
    this.size += text.length;
  }

  hasRoomFor(text: Buffer): boolean {
    return this.size + text.length - this.#bodyAt <= BODY_BYTES_MAX;
  }

  end(): void {
    this.words.bytes[this.#bodyAt - 1] = this.size - this.#bodyAt;
  }
}

export class StepMessages {
  readonly #received = new StepMessage('request.received');
  readonly #dispatched = new StepMessage('request.dispatched');
  readonly #replied = new StepMessage('request.replied');
  readonly #services = new Map<string, Buffer>();

  /** @returns `null`: the name of the service is too long for this. Valid until the next call, as all are */
  received(request: number, service: string): StepMessage | null {
    const message = this.#received;
    message.begin(request);
    const field = this.#fieldOf(service);
    if (!message.hasRoomFor(field)) return null;
    message.text(field);
    message.end();
    return message;
  }

  dispatched(request: number, step: RequestStep & { name: 'request.dispatched' }): StepMessage {
    const message = this.#dispatched;
    message.begin(request);
    message.text(WORKER);
    message.add(step.worker);
    message.text(DELIVERY);
    message.add(step.delivery);
    message.text(END);
    message.end();
    return message;
  }

  replied(request: number): StepMessage {
    const message = this.#replied;
    message.begin(request);
    message.text(END);
    message.end();
    return message;
  }

  /** The field of the service, which is the last one. */
  #fieldOf(service: string): Buffer {
    const known = this.#services.get(service);
    if (known !== undefined) return known;
    if (this.#services.size >= SERVICES_MAX) this.#services.clear();
    const field = Buffer.from(`,"service":${JSON.stringify(service)}}`);
    this.#services.set(service, field);
    return field;
  }
}
