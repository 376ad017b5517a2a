import type { Frames } from '../../../src/core/frames.js';
import type { CallListener, EndedBy, Made } from '../../../src/extensions/programs/call.js';
import { type Message, messageOf } from '../../../src/extensions/programs/message.js';

/** A call whose messages are given, and which proceeds when the test says so. */
export class FakeCall {
  made: Made = { bytes: 0, roomBytes: 0 };
  /** How often its listener has proceeded. */
  turns = 0;
  readonly #room: (bytes: number) => EndedBy | null;
  readonly #messages: Message[] = [];
  #listener: CallListener | null = null;
  #isResumed = false;

  /** @param room whether there is room for what was made of messages */
  constructor(room: (bytes: number) => EndedBy | null = () => null) {
    this.#room = room;
  }

  /** Messages that have come and were not taken. */
  get left(): number {
    return this.#messages.length;
  }

  get unread(): number {
    return this.left + this.made.bytes;
  }

  arrive(...all: readonly Frames[]): void {
    this.#messages.push(...all.map(messageOf));
  }

  readonly listen = (listener: CallListener): void => {
    this.#listener = listener;
  };

  /** All its turns until there is nothing to do. */
  run(): void {
    do {
      this.#isResumed = false;
      this.turns++;
    } while (this.#listener?.proceed() === true || this.#wasResumed());
  }

  #wasResumed(): boolean {
    return this.#isResumed;
  }

  next(): Message | null {
    return this.#messages.shift() ?? null;
  }

  keepMade(made: Made): void {
    this.made = made;
  }

  count(): void {
    // The test looks at `made`.
  }

  checkRoom(): EndedBy | null {
    return this.#room(this.made.bytes);
  }

  moved(): void {
    // Nothing waits for it here.
  }

  resume(): void {
    this.#isResumed = true;
  }
}
