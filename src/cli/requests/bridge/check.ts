/** Whether a server of `majordomo worker --to` is there, for `majordomo doctor`. */
import { type Finding, ok, problem } from '../../../core/finding.js';
import { certificatesIn, openServer } from './open.js';
import { targetOf } from './target.js';

/** As long as a handshake may take. */
const ANSWER_MS = 3500;

/** Looks whether the server at this URL takes connections; it is sent no request. @throws ERR_USAGE */
export async function serverFinding(url: string, caFile: string | undefined): Promise<Finding> {
  const target = targetOf(url);
  const name = `server ${target.shown}`;
  const ca = certificatesIn(caFile);
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
