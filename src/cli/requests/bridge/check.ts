/** Whether a server of `majordomo worker --to` is there, for `majordomo doctor`. */
import { type Finding, ok, problem } from '../../../core/finding.js';
import { openServer } from './open.js';
import { authorityFor, type Target, targetOf } from './target.js';

/** As long as a handshake may take. */
const ANSWER_MS = 3500;

/** Looks whether the servers at these URLs take connections; they are sent no request. @throws ERR_USAGE */
export async function serverFindings(
  urls: readonly string[],
  caFile: string | undefined,
): Promise<readonly Finding[]> {
  const targets = urls.map((url) => targetOf(url));
  const ca = authorityFor(targets, caFile);
  return await Promise.all(targets.map((target) => findingOf(target, ca)));
}

async function findingOf(target: Target, ca: string | undefined): Promise<Finding> {
  const name = `server ${target.shown}`;
  const server = await openServer(target, { concurrency: 1, ca }, () => undefined);
  const gone = new AbortController();
  let why = 'no answer';
  const timer = setTimeout(() => gone.abort(), ANSWER_MS);
  await server.ready(gone.signal, (reason) => {
    why = reason;
    gone.abort();
  });
  clearTimeout(timer);
  server.close();
  const what = target.web === null ? 'a REP or ROUTER socket answers' : 'it takes connections';
  if (!gone.signal.aborted) return ok(name, `${what} (it was sent no request)`);
  return problem(name, why, 'start it, or correct the URL (majordomo help worker has the forms)');
}
