/** Who is told what happens. */
export interface EventSink<Event> {
  emit(event: Event): void;
}

/** Tells each of them, in their order. */
export function tee<Event>(...told: readonly EventSink<Event>[]): EventSink<Event> {
  return {
    emit: (event) => {
      for (const each of told) each.emit(event);
    },
  };
}
