/** How V8 compiles and collects in a broker: in all of its threads. (docs/adr/0002) */
import { setFlagsFromString } from 'node:v8';

/**
 * Called once the node serves: with other flags than those it was compiled with, V8 rejects compiled code, both
 * of Node's own modules and of ours. What becomes hot is optimised later.
 */
export function setV8Flags(): void {
  inlineMore();
  collectLess();
}

/**
 * A message passes through about fifty small functions. V8 inlines them up to these limits; with
 * four times the default limits a request takes 0.83 of the CPU time if peers batch.
 */
function inlineMore(): void {
  setFlagsFromString('--max-inlined-bytecode-size=2000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');
}

/**
 * V8 counts the buffers of messages towards the limit at which it marks the whole heap, and a broker
 * keeps little: it would mark the heap several times a second.
 */
function collectLess(): void {
  setFlagsFromString('--heap-growing-percent=300');
}
