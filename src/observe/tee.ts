/** Who is told what happens. */
export interface Told<Event> {
  emit(event: Event): void;
}

/** Tells each of them, in their order. */
export function tee<Event>(...told: readonly Told<Event>[]): Told<Event> {
  return {
    emit: (event) => {
      for (const each of told) each.emit(event);
    },
  };
}
