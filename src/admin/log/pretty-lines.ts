/** The lines of the log for people. */
import { escapedLine, escapeUnseen } from '../../core/escape.js';

/** How pino begins such a line. */
const FATAL = '{"level":"fatal"';

/**
 * Makes lines for people of those in JSON: time, level and message, and the fields only at level `debug`.
 * Messages have texts of peers, of other nodes and of servers in them; none of these can end a line, begin one,
 * or move the cursor. A node that logs JSON does not load the library.
 */
export async function prettyLines(
  isTerminal: boolean,
  showsFields: () => boolean,
): Promise<(line: string) => string> {
  const { prettyFactory } = await import('pino-pretty');
  const options = {
    colorize: isTerminal && (process.env['NO_COLOR'] ?? '') === '',
    // In a file, the day and the time zone matter, too.
    translateTime: isTerminal && 'SYS:HH:MM:ss.l',
  };
  const brief = prettyFactory({ ...options, hideObject: true });
  const full = prettyFactory({ ...options, singleLine: true, ignore: 'event' });
  return (line) => {
    // Of a crash, the stack counts.
    const format = showsFields() || line.startsWith(FATAL) ? full : brief;
    const fields = JSON.parse(line) as { readonly msg: string };
    // The library writes fields as JSON, and messages as they are.
    return escapeUnseen(format({ ...fields, msg: escapedLine(fields.msg) }));
  };
}
