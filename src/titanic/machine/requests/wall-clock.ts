/**
 * How far the wall clock can be trusted (D110). Whatever ends by time is stored with wall times, so a clock that is
 * set would end all of it at once: the wall clock is compared with the monotonic one, which nobody sets.
 */

/** A larger difference between the two clocks, from one turn to the next, is a step. */
export const STEP_MS = 5000;
/** How long nothing ends by time after a step. */
const STEP_HOLD_MS = 60_000;
/** How often a clock that is behind is looked at. */
const LOOK_MS = 1000;

export class WallClock {
  /** Wall minus monotonic time at the last look; `null`: there was none. */
  #offset: number | null = null;
  #heldUntil = -Infinity;
  /** When the newest request was accepted that the store had at the start; -Infinity: the clock has passed that. */
  #newestAt = -Infinity;
  #wasSet = false;

  /** The clock was set a moment ago: no schedule is due. */
  get wasSet(): boolean {
    return this.#wasSet;
  }

  /** Nothing expires or is forgotten. */
  get isHeld(): boolean {
    return this.#wasSet || this.isBehind;
  }

  /** The clock shows a time before that of the newest request in the store. */
  get isBehind(): boolean {
    return this.#newestAt > -Infinity;
  }

  /**
   * Called once, when the store has been opened.
   * @param newestAt when its newest request was accepted
   * @returns how far the clock is behind, in milliseconds; 0: it is not
   */
  starts(newestAt: number, wall: number): number {
    const behindMs = newestAt - wall;
    if (behindMs <= STEP_MS) return 0;
    this.#newestAt = newestAt;
    return behindMs;
  }

  /** @returns by how much the clock was set since the last look, in milliseconds; 0: it was not */
  look(now: number, wall: number): number {
    const offset = wall - now;
    const stepMs = Math.round(offset - (this.#offset ?? offset));
    this.#offset = offset;
    if (wall >= this.#newestAt) this.#newestAt = -Infinity;
    const isStep = Math.abs(stepMs) > STEP_MS;
    if (isStep) this.#heldUntil = now + STEP_HOLD_MS;
    this.#wasSet = now < this.#heldUntil;
    return isStep ? stepMs : 0;
  }

  /** By how much a time to live is longer, because the clock is behind. */
  aheadMs(wall: number): number {
    return Math.max(0, this.#newestAt - wall);
  }

  /** Milliseconds until it is to be looked at; Infinity: nothing is held. */
  dueInMs(now: number): number {
    if (this.#wasSet) return Math.max(0, this.#heldUntil - now);
    return this.isBehind ? LOOK_MS : Infinity;
  }
}
