/** The services of this process, each of which owns the names that begin with its prefix. */
import type { Frames } from '../../core/frames.js';
import type { InternalService } from '../ports.js';

export class InternalServices {
  readonly all: InternalService[] = [];

  /** The service that owns the name in frame `index`, or `null`. */
  of(frames: Frames, index: number): InternalService | null {
    return this.find(frames.buffer(index), frames.start(index), frames.end(index));
  }

  /** The service that owns a name, or `null`. */
  find(name: Buffer, start: number, end: number): InternalService | null {
    for (const internal of this.all) {
      const { prefix } = internal;
      if (end - start < prefix.length) continue;
      let at = 0;
      while (at < prefix.length && name[start + at] === prefix[at]) at++;
      if (at === prefix.length) return internal;
    }
    return null;
  }
}
