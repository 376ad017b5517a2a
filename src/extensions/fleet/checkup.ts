/** Whether the NATS servers of the fleet can be used, and who else could use them. */
import type { Config } from '../../config/config.js';
import { isLoopback } from '../../config/io/loopback.js';
import { codeOf, messageOf } from '../../core/errors.js';
import { type Finding, ok, problem, warning } from '../../core/finding.js';
import { askNats } from './nats-options.js';

type ServerFacts = Awaited<ReturnType<typeof askNats>>;

const AWAY = 'does not answer';
const DEFAULT_PORT = 4222;

/** Returns a finding for each server of `fleet.nats`. */
export async function check(config: Config): Promise<readonly Finding[]> {
  const found = await Promise.all(config.fleet.nats.map((url) => server(config, url)));
  const isAnyThere = found.some(({ state }) => state !== 'problem');
  // A fleet works while one of its servers does.
  return found.map((each) =>
    isAnyThere && each.text.startsWith(AWAY) ? { ...each, state: 'warning' } : each,
  );
}

async function server(config: Config, url: string): Promise<Finding> {
  const name = `NATS ${url}`;
  const { hostname, port } = new URL(url);
  const place = { scheme: 'tcp', host: hostname, port: Number(port) || DEFAULT_PORT } as const;
  try {
    const facts = await askNats(config, url);
    return answering(name, facts, await isLoopback(place));
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ERR_CONFIG_FILE') {
      return problem(name, messageOf(error), 'correct fleet.natsCredsFile; serve exits with 78');
    }
    if (code === 'ERR_FLEET_REFUSED') {
      return problem(
        name,
        messageOf(error),
        'see docs/operating.md, The fleet; serve exits with 78',
      );
    }
    const remedy = `start nats-server at ${place.host}:${place.port}, or correct fleet.nats; until then the brokers do not send each other requests`;
    return problem(name, `${AWAY}: ${messageOf(error)}`, remedy);
  }
}

/** @param isLocal the server is on loopback */
export function answering(
  name: string,
  { isSealed, asksForCredentials }: ServerFacts,
  isLocal: boolean,
): Finding {
  if (!isSealed && !isLocal) {
    const text = 'answers without TLS: requests and replies cross the network unencrypted';
    return warning(name, text, 'configure TLS at the server, and begin its URL with tls://');
  }
  if (!asksForCredentials && !isLocal) {
    const text = 'lets everybody in: who can publish there is trusted like a broker';
    return warning(name, text, 'give the server users, and the broker fleet.natsCredsFile');
  }
  const seal = isSealed ? 'with TLS' : 'without TLS';
  const who = asksForCredentials
    ? 'lets in who has credentials'
    : 'lets in every user of this machine, who is trusted like a broker';
  return ok(name, `answers, ${seal}, and ${who}`);
}
