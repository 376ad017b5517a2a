/** Whether HTTP can work: its address, certificate and tokens; and who can reach it. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import type { Config } from '../../../config/config.js';
import type { TokenConfig } from '../../../config/entries.js';
import { parseHttpListen } from '../../../config/endpoint.js';
import { isLoopback } from '../../../config/io/loopback.js';
import { readToken } from '../../../config/io/token-files.js';
import { messageOf } from '../../../core/errors.js';
import { mayOthersUse, privateRemedy, TOKEN_FILE } from '../../../core/private-file.js';
import { factsIn, listIn, reasonText } from '../../common/facts.js';
import { printable } from '../../common/output.js';
import { AdminClient } from '../../connection/admin-client.js';
import { type AdminAddress, adminAddressOf, localToken } from '../../connection/admin-address.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';
import { ANSWER_MS, portFinding } from './port.js';

const DAY_MS = 86_400_000;
const SOON_DAYS = 14;

/** @param served whether a Majordomo answers at this configuration's endpoints */
export async function http(config: Config, served: boolean): Promise<readonly Finding[]> {
  const { listen, token, tokens, tls } = config.http;
  const name = `http ${listen}`;
  const parsed = parseHttpListen(listen);
  if (!parsed.ok) return [problem(name, parsed.why, 'correct http.listen')];
  const place = parsed.value;
  if (place === null) return [ok(name, 'off: no metrics, page or administration over HTTP')];
  const reached =
    place.scheme === 'ipc'
      ? ((await occupant(name, adminAddressOf(config, undefined), served)) ??
        ok(name, 'a socket for the user and the group of the broker'))
      : await portFinding(name, 'http.listen', listen, place, () =>
          occupant(name, adminAddressOf(config, undefined), served),
        );
  const isLocal = await isLoopback(place);
  return [
    reached,
    ...(token === null ? tokenFile(config.node.dataDir) : []),
    ...tokens.flatMap(listedToken),
    ...(tls === null ? [] : [certificate(tls.certFile)]),
    ...openness(config, isLocal),
    ...(served ? await degraded(config) : []),
  ];
}

/** What the running broker itself says does not work; nothing if it cannot be asked. */
async function degraded(config: Config): Promise<readonly Finding[]> {
  try {
    const place = adminAddressOf(config, undefined);
    const client = new AdminClient(place, await localToken(config), ANSWER_MS);
    const health = await client.get('/healthz');
    return listIn(health['degraded']).map((reason) => {
      const remedy = `${printable(reason['code'])}: docs/operating.md, Alerts`;
      return problem('degraded', reasonText(reason), remedy);
    });
  } catch {
    return [];
  }
}

/** What strangers can do over HTTP; what `serve` refuses is reported elsewhere. */
function openness({ http: { tls, insecure, requireToken } }: Config, isLocal: boolean): Finding[] {
  const name = 'open over http';
  const nothing = 'without a token, only /livez, /readyz, /servez and the files of the page';
  if (isLocal && !requireToken) {
    const who = 'every user of this machine who can connect can read without a token';
    return [ok(name, `${who}, with uuids shortened; http.requireToken prevents it`)];
  }
  if (isLocal || tls !== null) return [ok(name, nothing)];
  if (!insecure) return [];
  const text = 'tokens and uuids cross the network unencrypted';
  return [warning(name, text, 'acceptable behind a proxy with TLS; otherwise set http.tls')];
}

function certificate(file: string): Finding {
  const name = 'http certificate';
  try {
    const { validTo } = new X509Certificate(readFileSync(file));
    const days = Math.floor((Date.parse(validTo) - Date.now()) / DAY_MS);
    const renew = 'renew it, then send SIGHUP to the broker';
    if (days < 0) return problem(name, `${file} was valid until ${validTo}`, renew);
    if (days < SOON_DAYS) return warning(name, `${file} is valid for ${days} more days`, renew);
    return ok(name, `valid until ${validTo}`);
  } catch (error) {
    const remedy = 'correct http.tls.certFile; serve exits with 78';
    return problem(name, `${file}: ${messageOf(error)}`, remedy);
  }
}

/** The Majordomo that answers there, if any. */
async function occupant(
  name: string,
  place: AdminAddress,
  served: boolean,
): Promise<Finding | null> {
  try {
    const client = new AdminClient(place, { token: null, why: null }, ANSWER_MS);
    const isOurs = 'degraded' in (factsIn(await client.any('/readyz')) ?? {});
    if (!isOurs) return null;
    const text = 'a Majordomo broker answers there';
    if (served) return ok(name, text);
    const remedy =
      'it does not listen on broker.listen of this configuration, so it is another broker: give this one another http.listen';
    return problem(name, text, remedy);
  } catch {
    return null;
  }
}

/** A key file that others can read prevents the start. */
function tokenFile(dataDir: string): readonly Finding[] {
  const file = join(dataDir, TOKEN_FILE);
  try {
    const stats = statSync(file);
    if (!mayOthersUse(stats)) return [];
    return [problem('http token', `other users can read ${file}`, privateRemedy(stats, file))];
  } catch {
    // The file will be created, or the check of the data directory reports why not.
    return [];
  }
}

/** A token that cannot be read prevents the start. */
function listedToken(token: TokenConfig): readonly Finding[] {
  try {
    readToken(token);
    return [];
  } catch (error) {
    const remedy = `correct http.tokens, ${token.name}; serve exits with 78`;
    return [problem(`http token ${token.name}`, messageOf(error), remedy)];
  }
}
