import { messageOf } from '../core/errors.js';
import { sdkError } from './errors.js';

/** A received message: a request at a worker, or a reply at a client. */
export class Message {
  /** The requested service. */
  readonly service: string;
  /** The frames of the body, at least one. The receiver owns them. */
  readonly frames: Buffer[];

  constructor(service: string, frames: Buffer[]) {
    this.service = service;
    this.frames = frames;
  }

  /** All frames, concatenated, as UTF-8. */
  text(): string {
    const [first] = this.frames;
    if (this.frames.length === 1 && first !== undefined) return first.toString('utf8');
    return Buffer.concat(this.frames).toString('utf8');
  }

  /**
   * All frames, concatenated and parsed as JSON.
   * @throws ERR_MDP_BODY if they are not JSON
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
