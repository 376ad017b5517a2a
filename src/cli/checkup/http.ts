/** Whether HTTP can be answered: its address, and the file of its token. */
import { statSync } from 'node:fs';
import { join } from 'node:path';

import type { Config } from '../../config/config.js';
import { parseAddress } from '../../config/endpoint.js';
import { mayOthersUse, TOKEN_FILE } from '../../core/private-file.js';
import { AdminClient } from '../admin-client.js';
import { type Finding, ok, problem } from './finding.js';
import { ANSWER_MS, dialHost, portFinding } from './port.js';

/** @param served whether a Majordomo serves where this configuration listens */
export async function http(
  { http: { listen, token }, node }: Config,
  served: boolean,
): Promise<readonly Finding[]> {
  const name = `http ${listen}`;
  if (listen === 'off') return [ok(name, 'no metrics, no page, no orders over HTTP')];
  const address = parseAddress(listen);
  if (!address.ok) return [problem(name, address.why, 'correct http.listen')];
  const { host, port } = address.value;
  const found = await portFinding(name, 'http.listen', address.value, () =>
    occupant(name, `http://${dialHost(host)}:${port}`, served),
  );
  return token === null ? [found, ...tokenFile(node.dataDir)] : [found];
}

/** The Majordomo that answers there, if one does. */
async function occupant(name: string, url: string, served: boolean): Promise<Finding | null> {
  try {
    const { value } = await new AdminClient(new URL(url), null, ANSWER_MS).any('/readyz');
    const isOurs = typeof value === 'object' && value !== null && 'degraded' in value;
    if (!isOurs) return null;
    const text = 'a Majordomo answers there';
    if (served) return ok(name, text);
    const remedy = 'it serves clients elsewhere: a second broker needs its own http.listen';
    return problem(name, text, remedy);
  } catch {
    return null;
  }
}

/** One that others may read ends the start. */
function tokenFile(dataDir: string): readonly Finding[] {
  const file = join(dataDir, TOKEN_FILE);
  try {
    if (!mayOthersUse(statSync(file).mode)) return [];
  } catch {
    // It will be made, or the check of the directory tells why not.
    return [];
  }
  return [problem('http token', `others may use ${file}`, `chmod 600 ${file}`)];
}
