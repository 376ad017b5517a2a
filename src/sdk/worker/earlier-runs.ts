/**
 * What a worker has told a broker that it runs although this broker has not given it out, over one connection: requests
 * of an earlier registration, of an earlier broker, or of the other node of a pair (D118). They count in the broker's
 * limits until their end is told.
 */
import { RUNS_BYTES_MAX } from '../../wire/mdp.js';
import type { Task } from './worker-session.js';

export class EarlierRuns {
  readonly #tasks = new Set<Task>();
  /** What was told over this connection or an earlier one, and still runs: it counts over this one, too. */
  readonly told: Set<Task> = new Set();
  /** How many of them are of each group; the bytes of its name, one character per byte. */
  readonly #counts = new Map<string, number>();

  /** Begins another connection, over which nothing was told. */
  clear(): void {
    this.#tasks.clear();
    this.#counts.clear();
  }

  /** Adds requests that run. @returns what to tell, in messages: each is groups, and behind each its number */
  add(tasks: Iterable<Task>): Buffer[][] {
    const changed = new Set<string>();
    for (const task of tasks) {
      if (this.#tasks.has(task)) continue;
      task.isEarlier = true;
      this.#tasks.add(task);
      this.told.add(task);
      const { groupBytes } = task.request;
      this.#counts.set(groupBytes, (this.#counts.get(groupBytes) ?? 0) + 1);
      changed.add(groupBytes);
    }
    return this.#pages(changed);
  }

  /** A request has ended. @returns what to tell, or nothing, if it was not told */
  ended(task: Task): Buffer[][] {
    this.told.delete(task);
    if (!this.#tasks.delete(task)) return [];
    const { groupBytes } = task.request;
    const left = (this.#counts.get(groupBytes) ?? 1) - 1;
    if (left > 0) this.#counts.set(groupBytes, left);
    else this.#counts.delete(groupBytes);
    return this.#pages([groupBytes]);
  }

  #pages(groups: Iterable<string>): Buffer[][] {
    const pages: Buffer[][] = [];
    let left = 0;
    for (const group of groups) {
      const frames = [group, String(this.#counts.get(group) ?? 0)].map((text) =>
        Buffer.from(text, 'latin1'),
      );
      const bytes = frames.reduce((sum, { length }) => sum + length, 0);
      if (bytes > left) {
        pages.push([]);
        left = RUNS_BYTES_MAX;
      }
      pages.at(-1)?.push(...frames);
      left -= bytes;
    }
    return pages;
  }
}
