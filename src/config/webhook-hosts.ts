/** To which hosts webhooks may go: `http.webhookHosts`. */
import { z } from 'zod';

import { type Network, parseNetwork } from './http-access.js';
import { expected, line, list, once } from './kinds.js';
import { rule, type Rule } from './rule.js';

const TEXT_MAX = 4096;
const ENTRIES_MAX = 256;
const text = line(TEXT_MAX);
const VALUE = `text of 1 to ${TEXT_MAX} characters, without line breaks, or a list of such texts`;

/** The value of `http.webhookHosts`: one text, whether it is written so or as a list. */
export const webhookHosts = once(() =>
  z
    .union([text, list(text, VALUE, ENTRIES_MAX, { min: 1 })], {
      error: expected(VALUE, { isText: true }),
    })
    .transform((written) => [written].flat().join(', '))
    .meta({ value: VALUE, takes: (given) => text.safeParse(given).success }),
);

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
