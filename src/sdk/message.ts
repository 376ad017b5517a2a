import { messageOf } from '../core/errors.js';
import { sdkError } from './errors.js';

/** A received body: a worker's request, a client's reply. */
export class Message {
  /** The service that was asked, or that answered. */
  readonly service: string;
  /** The body, frame by frame; at least one. They belong to the receiver. */
  readonly frames: Buffer[];

  constructor(service: string, frames: Buffer[]) {
    this.service = service;
    this.frames = frames;
  }

  /** All frames, one after the other, as UTF-8. */
  text(): string {
    const [first] = this.frames;
    if (this.frames.length === 1 && first !== undefined) return first.toString('utf8');
    return Buffer.concat(this.frames).toString('utf8');
  }

  /**
   * All frames, one after the other, as JSON.
   * @throws ERR_MDP_BODY if they are not
   */
  json(): unknown {
    try {
      return JSON.parse(this.text());
    } catch (error) {
      throw sdkError('ERR_MDP_BODY', `the body is not JSON: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** One part of a streamed reply; `final` marks the last. */
export class StreamPart extends Message {
  readonly final: boolean;

  constructor(service: string, frames: Buffer[], final: boolean) {
    super(service, frames);
    this.final = final;
  }
}
