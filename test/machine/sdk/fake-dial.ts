/** Links that go nowhere: what is written is kept, what a broker would say is said by the test. */
import { Frames } from '../../../src/core/frames.js';
import type { Dial, Link, LinkEvents } from '../../../src/zmtp/link-port.js';

class FakeLink implements Link {
  readonly endpoint: string;
  readonly events: LinkEvents;
  closed = false;
  waitingBytes = 0;
  readonly #messages: Buffer[][] = [];
  #open: Buffer[] = [];

  constructor(endpoint: string, events: LinkEvents) {
    this.endpoint = endpoint;
    this.events = events;
  }

  write(bytes: Uint8Array, start: number, end: number, more: boolean): void {
    this.#open.push(Buffer.from(bytes.subarray(start, end)));
    if (more) return;
    this.#messages.push(this.#open);
    this.#open = [];
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  /** The messages since the last call. */
  written(): Buffer[][] {
    return this.#messages.splice(0);
  }

  /** It is connected to a broker that says what it knows: nothing. */
  joins(): void {
    this.events.connected();
    this.says('', 'MDPC02', '\x03', 'mmi.broker', '200', '{}');
  }

  /** The broker sends a message. */
  says(...frames: readonly (Uint8Array | string)[]): void {
    this.events.message(Frames.of(...frames));
  }
}

export class FakeNet {
  readonly links: FakeLink[] = [];

  readonly dial: Dial = (endpoint, events) => {
    const link = new FakeLink(endpoint, events);
    this.links.push(link);
    return link;
  };

  get link(): FakeLink {
    const last = this.links.at(-1);
    if (last === undefined) throw new Error('nothing was dialled');
    return last;
  }
}

/** Frames as text, bytes that are none as `\xNN`. */
export function shown(messages: readonly (readonly Buffer[])[]): string[] {
  return messages.map((frames) =>
    frames
      .map((frame) =>
        frame.toString('latin1').replace(/[^ -~]/g, (byte) => {
          return `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
        }),
      )
      .join('|'),
  );
}
