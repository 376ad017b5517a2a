/** What an idempotency key names (D112). */
import { digestOf } from '../../../core/digest.js';
import type { Frames } from '../../../core/frames.js';
import { isOnceKey, type SubmitOptions, type TspRequest } from '../../../wire/tsp.js';

/** Whose values are not part of what is requested: a trace puts others into each copy of one request. */
const BESIDE: readonly (keyof SubmitOptions)[] = ['key', 'headers', 'existed'];

/** A digest of service, body and options; `null`: there is no key, or one that only the copies of one submit have. */
export function keyDigest(frames: Frames, read: TspRequest): Buffer | null {
  const { key } = read.options;
  return key === null || isOnceKey(key) ? null : digestOf(partsOf(frames, read));
}

function* partsOf(
  frames: Frames,
  { service, body, options }: TspRequest,
): Generator<Buffer | string> {
  const names = (Object.keys(options) as (keyof SubmitOptions)[]).sort();
  // An option that is not given, and one that is given as it is by default, are the same.
  const chosen = names.filter((name) => !BESIDE.includes(name) && Boolean(options[name]));
  yield JSON.stringify(chosen.map((name) => [name, options[name]]));
  for (let at = service; at < frames.count; at = at === service ? body : at + 1) {
    yield ` ${frames.size(at)} `;
    yield frames.view(at);
  }
}
