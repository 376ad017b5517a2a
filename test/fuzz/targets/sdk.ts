/**
 * The client's machine between endpoints that do anything: every call ends in its time, and nothing is made
 * without end.
 */
import { PirateScript } from '../../machine/sdk/pirate-script.js';
import { check, Script, type Target } from '../target.js';

const CALLS_MAX = 20;
const RESEND_MS = 1000;
const TIMEOUT_MS = 3000;
const WAITS_MS = [0, 1, 60, 400, 1000, 5000];
const STATUSES = ['503', '429', '404', '408', '502', '', 'x'];
/** Lines that one step may cause for each call that is open: closing, opening, greeting, sending. */
const LINES_MAX = 8;
const LONG_MS = 10 * TIMEOUT_MS;

function run(input: Buffer): void {
  const script = new Script(input);
  const pirate = new PirateScript({
    endpoints: 1 + script.below(3),
    bare: script.below(4) === 0,
    maxLinks: 1 + script.below(3),
  });
  const open = new Map<string, number>();
  let calls = 0;
  let links = 1;
  const look = (ms: number): void => {
    const lines = pirate.effects;
    const most = LINES_MAX * (1 + open.size) * (1 + Math.ceil(ms / 40));
    check(
      lines.length <= most,
      `one step has ${lines.length} effects: ${lines.slice(0, 5).join()}`,
    );
    for (const line of lines) {
      const [, what, name = ''] = line.split(' ');
      if (what === 'open') links = Math.max(links, Number(name));
      if (what === 'fail') {
        check(open.has(name), `${name} fails, and was over`);
        open.delete(name);
      }
    }
  };
  while (!script.isAtEnd) {
    const kind = script.below(10);
    const name = [...open.keys()][script.below(Math.max(1, open.size))] ?? null;
    const link = 1 + script.below(links);
    let ms = 0;
    if (kind === 0 && calls < CALLS_MAX) {
      const call = `call${calls++}`;
      open.set(call, pirate.now);
      const headers = script.below(4) === 0;
      pirate.ask(call, { timeoutMs: TIMEOUT_MS, resendMs: RESEND_MS, headers });
    } else if (kind === 1) pirate.connect(pirate.link);
    else if (kind === 2) pirate.cut(link);
    else if (kind === 3) pirate.fail(link);
    else if (kind === 4) pirate.hear(link);
    else if (kind === 5) pirate.broker(script.byte() * 20, script.below(4) > 0, link);
    else if (kind === 6 && name !== null) {
      if (pirate.answer(name)) open.delete(name);
    } else if (kind === 7 && name !== null) {
      pirate.refuse(name, script.pick(STATUSES));
    } else if (kind === 8 && name !== null && script.below(3) === 0) {
      pirate.abort(name);
      open.delete(name);
    } else {
      ms = script.pick(WAITS_MS);
      pirate.pass(ms);
    }
    look(ms);
  }
  // A pair's heartbeat raises a call's time, to what one byte can say above.
  pirate.pass(LONG_MS + 255 * 20 * 25);
  look(LONG_MS + 255 * 20 * 25);
  check(open.size === 0, `${[...open.keys()].join()} never end`);
}

export function sdk(): Target {
  return {
    name: 'sdk',
    bytesMax: 256,
    seeds: [
      Buffer.from([0, 1, 0, 1, 0, 0, 1, 0, 0, 6, 0, 0, 9, 0, 0, 3]),
      Buffer.from([1, 1, 0, 0, 0, 0, 1, 0, 0, 9, 0, 0, 4, 2, 0, 0, 1, 0, 0, 9, 0, 0, 5]),
      Buffer.from([2, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 7, 0, 0, 0, 7, 1, 0, 1, 9, 0, 0, 4]),
    ],
    run,
  };
}
