/** To which hosts webhooks may go: `http.webhookHosts`. */
import { type Network, parseNetwork } from './http-access.js';
import { rule, type Rule } from './rule.js';

export interface WebhookHost {
  readonly protocol: 'http:' | 'https:';
  /** The name in lower case; with a dot in front: all hosts below it. */
  readonly name: string;
  readonly port: number;
}

export interface WebhookHosts {
  readonly hosts: readonly WebhookHost[];
  /** Private networks that names of these hosts may resolve into. */
  readonly networks: readonly Network[];
}

const ENTRY =
  /^(?:(https?:)\/\/)?(\.?[a-z\d](?:[a-z\d.-]*[a-z\d])?|\[[\da-f:.]+\])(?::(\d{1,5}))?$/i;
const PORT_MAX = 65_535;
const PORTS = { 'http:': 80, 'https:': 443 } as const;

/** @returns what is wrong, as a text */
export function parseWebhookHosts(text: string): WebhookHosts | string {
  const hosts: WebhookHost[] = [];
  const networks: Network[] = [];
  for (const entry of text.split(/[\s,]+/).filter((each) => each !== '')) {
    const network = entry.includes('/') ? parseNetwork(entry) : null;
    const host = network === null ? hostOf(entry) : null;
    if (network !== null) networks.push(network);
    else if (host !== null) hosts.push(host);
    else return `"${entry}" is not HOST, HOST:PORT, .DOMAIN, http://HOST:PORT or a network`;
  }
  return { hosts, networks };
}

function hostOf(entry: string): WebhookHost | null {
  const [, scheme = 'https:', name, given] = ENTRY.exec(entry) ?? [];
  if (name === undefined) return null;
  const protocol = scheme.toLowerCase() === 'http:' ? 'http:' : 'https:';
  const port = given === undefined ? PORTS[protocol] : Number(given);
  return port < 1 || port > PORT_MAX ? null : { protocol, name: name.toLowerCase(), port };
}

export const WEBHOOK_RULE: Rule = rule(
  ['http.webhookSecretFile', 'http.webhookHosts'],
  ({ http: { webhookHosts, webhookSecretFile } }) => {
    if (webhookHosts === null) return null;
    const parsed = parseWebhookHosts(webhookHosts);
    if (typeof parsed === 'string') return parsed;
    return webhookSecretFile === null ? 'needs http.webhookSecretFile' : null;
  },
);
