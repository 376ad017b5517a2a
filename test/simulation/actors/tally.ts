/** What happened in simulated worlds, for the summary. */
export class Tally {
  requests = 0;
  replies = 0;
  readonly faults = new Map<string, number>();

  fault(what: string): void {
    this.faults.set(what, (this.faults.get(what) ?? 0) + 1);
  }

  add(other: Tally): void {
    this.requests += other.requests;
    this.replies += other.replies;
    for (const [what, count] of other.faults) {
      this.faults.set(what, (this.faults.get(what) ?? 0) + count);
    }
  }

  get faultCount(): number {
    let count = 0;
    for (const each of this.faults.values()) count += each;
    return count;
  }
}
