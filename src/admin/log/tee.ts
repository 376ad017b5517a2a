/** Passes events to several sinks. */
export interface EventSink<Event> {
  emit(event: Event): void;
}

/** Calls each sink, in order. */
export function tee<Event>(...sinks: readonly EventSink<Event>[]): EventSink<Event> {
  return {
    emit: (event) => {
      for (const each of sinks) each.emit(event);
    },
  };
}
