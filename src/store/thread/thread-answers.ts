/** What a store's thread answers: several answers are sent in one message. */
import type { MessagePort } from 'node:worker_threads';

import { PackWriter } from '../../core/packing.js';
import type { MergeFailure } from '../store.js';
import { packFailure } from './messages.js';

const ANSWER_BYTES = 4096;

export class ThreadAnswers {
  readonly #port: MessagePort;
  #writer = new PackWriter(ANSWER_BYTES);

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /**
   * Begins an answer, whose fields follow.
   * @param what its kind: see messages.ts
   * @param id of the order that it answers; 0: of none
   */
  begin(what: number, id: number): PackWriter {
    this.#writer.byte(what);
    this.#writer.number(id);
    return this.#writer;
  }

  fail(what: number, id: number, failure: MergeFailure): void {
    packFailure(this.begin(what, id), failure);
  }

  send(): void {
    if (this.#writer.isEmpty) return;
    const bytes = this.#writer.take();
    this.#writer = new PackWriter(ANSWER_BYTES);
    this.#port.postMessage(bytes, [bytes.buffer]);
  }
}
