/**
 * The command as process 1 of a container: orphans of the commands that it runs become its children, and
 * stay as zombies unless it waits for them. Node waits only for processes that it started.
 */
import { existsSync } from 'node:fs';

import { say } from '../common/output.js';

const SHELL = '/bin/sh';
/** Waits for all children, as every shell does, and passes signals on to the first: they end a `wait`, too. */
const INIT = `"$@" <&0 &
first=$!
for signal in HUP INT QUIT TERM; do trap "kill -$signal $first" $signal; done
while wait $first; status=$?; [ $status -gt 128 ] && kill -0 $first 2>/dev/null; do :; done
exit $status`;

/** Puts a shell in the place of this process if that is process 1; the shell runs it again. Does not return then. */
export function leaveFirstPlace(): void {
  if (process.pid !== 1) return;
  if (process.execve !== undefined && existsSync(SHELL)) {
    const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    process.execve(SHELL, ['sh', '-c', INIT, 'sh', ...again]);
  }
  say(
    'this is process 1, and there is no shell that could be: what the command leaves behind stays as zombies. ' +
      'Start the container with an init (docker run --init; in Compose init: true)',
  );
}
