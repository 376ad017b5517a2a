/** The effects of the fleet machine, carried out by its shell on the bus. They return nothing. */
export interface FleetSink {
  /**
   * Publishes a pack, which is not changed afterwards.
   * @param unheard the service that it searches for: if nobody listens, `FleetMachine.unheard` is
   *   called with this; `null`: nobody asks
   */
  publish(subject: string, pack: Buffer, unheard: string | null): void;
  subscribe(subject: string): void;
  unsubscribe(subject: string): void;
}
