/** Passes events to several sinks. */
export interface EventSink<Event> {
  emit(event: Event): void;
}

/** Calls each sink, in order. */
export function tee<Event>(...told: readonly EventSink<Event>[]): EventSink<Event> {
  return {
    emit: (event) => {
      for (const each of told) each.emit(event);
    },
  };
}
