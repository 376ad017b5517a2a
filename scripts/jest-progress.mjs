/** A reporter of jest.config.js: says about how long a run takes, and how far it is. */
import { allSeconds, secondsOf } from './jest-order.mjs';

const SAID_MS = 20_000;

const about = (seconds) =>
  seconds < 90 ? `${Math.ceil(seconds / 10) * 10} s` : `${Math.round(seconds / 60)} min`;

export default class Progress {
  #workers;
  #began = 0;
  #saidAt = 0;
  #files = 0;
  #done = 0;
  #doneSeconds = 0;

  constructor({ maxWorkers }) {
    this.#workers = maxWorkers;
  }

  onRunStart({ numTotalTestSuites }) {
    this.#began = performance.now();
    this.#saidAt = this.#began;
    this.#files = numTotalTestSuites;
    const seconds = allSeconds / this.#workers;
    if (seconds * 1000 < SAID_MS) return;
    console.error(`${this.#files} test files: about ${about(seconds)} on a machine with two cores`);
  }

  onTestFileResult(test) {
    this.#done++;
    this.#doneSeconds += secondsOf(test);
    const now = performance.now();
    if (now - this.#saidAt < SAID_MS) return;
    this.#saidAt = now;
    const left =
      ((now - this.#began) / 1000 / this.#doneSeconds) * (allSeconds - this.#doneSeconds);
    console.error(`${this.#done} of ${this.#files} test files, about ${about(left)} left`);
  }

  getLastError() {
    // A run does not fail because of its progress.
  }
}
