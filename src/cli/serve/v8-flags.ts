/** How V8 compiles and collects in a broker: in all of its threads. (docs/adr/0002) */
import { setFlagsFromString } from 'node:v8';

import { messageOf } from '../../core/errors.js';
import { type Shortcut, shortcuts } from '../../core/shortcut.js';

/** What is set; `doctor` asks the running Node whether it has them. */
export const V8_FLAGS = {
  /**
   * A message passes through about fifty small functions. V8 inlines them up to these limits; with
   * four times the default limits a request takes 0.83 of the CPU time if peers batch.
   */
  'max-inlined-bytecode-size': 2000,
  'max-inlined-bytecode-size-cumulative': 4000,
  /**
   * V8 counts the buffers of messages towards the limit at which it marks the whole heap, and a broker
   * keeps little: it would mark the heap several times a second.
   */
  'heap-growing-percent': 300,
} as const;

/**
 * Called once the node serves: with other flags than those it was compiled with, V8 rejects compiled code, both
 * of Node's own modules and of ours. What becomes hot is optimised later.
 */
export function setV8Flags(set = setFlagsFromString, flags: Shortcut = shortcuts.flags): void {
  for (const [name, value] of Object.entries(V8_FLAGS)) {
    try {
      set(`--${name}=${value}`);
    } catch (error) {
      flags.giveUp(`setFlagsFromString: ${messageOf(error)}`);
    }
  }
}
