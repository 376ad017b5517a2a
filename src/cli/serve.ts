import { type Loaded, loadConfig } from '../config/io/load.js';
import { messageOf } from '../core/errors.js';

const EXIT_CONFIG = 78;

/**
 * `majordomo serve`: runs the daemon in the foreground until a signal ends it.
 * @returns the exit status
 */
export async function serveCommand(
  file: string | undefined,
  sets: readonly string[],
): Promise<number> {
  const load = (): Loaded =>
    loadConfig({ ...(file === undefined ? {} : { file }), environment: process.env, sets });
  let loaded: Loaded;
  try {
    loaded = load();
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return EXIT_CONFIG;
  }
  const { serve } = await import('../daemon/serve.js');
  return await serve(loaded, load, (endpoints) => {
    if (file !== undefined) return;
    // In the next turn signals are handled: whoever reads this may send one.
    setImmediate(() => process.stderr.write(whatNext(endpoints)));
  });
}

/** For the first start, without a configuration file: three things to try. */
function whatNext(endpoints: readonly string[]): string {
  const endpoint = endpoints[0] ?? '';
  const isDefault = endpoint === 'tcp://127.0.0.1:5555';
  const at = isDefault ? '' : ` --endpoint ${endpoint}`;
  return [
    '',
    `Majordomo listens on ${endpoints.join(', ')}. In other terminals, try:`,
    '',
    `  node dist/main.js worker upper${at} -- tr a-z A-Z    # any command is a service`,
    `  node dist/main.js request upper hello${at}           # prints HELLO`,
    `  node dist/main.js services${at}                      # what is served, and how busy`,
    '',
    '',
  ].join('\n');
}
