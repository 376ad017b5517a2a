/**
 * Where webhooks may go. A URL has to name a host of `http.webhookHosts`. If that is a name, all its addresses
 * have to be public, or in a network of that list: so whoever controls the name cannot lead the broker into its own
 * network. The addresses that are checked are those that are connected to.
 */
import { lookup, type LookupAddress, type LookupAllOptions } from 'node:dns';
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net';

import type { WebhookHost, WebhookHosts } from '../../config/webhook-hosts.js';

/** No host on the Internet has them (RFC 6890, and what IANA lists beside it). */
const SPECIAL_V4: readonly string[] = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
  ...['172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/3'],
];
/** Within the one block that hosts on the Internet have, those that stand for other addresses. */
const GLOBAL_V6 = '2000::/3';
const SPECIAL_V6: readonly string[] = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

/** Slow name servers hold so many threads of the process, and those of entries known to be slow all but one. */
const LOOKUPS_MAX = 2;
const SLOW_MS = 1000;
/** How many addresses of one name are tried, in turn. */
const ADDRESSES_MAX = 8;
/** Milliseconds that a look-up waits for its turn: as long as a webhook for its connection. */
const WAIT_MS = 5000;

const special = listOf([...SPECIAL_V4, ...SPECIAL_V6]);
const global = listOf([GLOBAL_V6]);

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const each of networks) {
    const [address = '', bits] = each.split('/');
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return list;
}

function isPublic(address: string): boolean {
  if (isIPv6(address)) return global.check(address, 'ipv6') && !special.check(address, 'ipv6');
  return !special.check(address, 'ipv4');
}

/** Finds the addresses of a name. */
type Look = (
  name: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

interface Waiting {
  readonly entry: string;
  readonly begin: (over: () => void) => void;
  /** Then its webhook has been given up. Monotonic milliseconds. */
  readonly until: number;
}

export class WebhookTargets {
  readonly #hosts: readonly WebhookHost[];
  readonly #look: Look;
  readonly #named = new BlockList();
  /** Entries whose names are being looked up. */
  readonly #looking = new Set<string>();
  /** Entries whose last look-up took long. */
  readonly #slow = new Set<string>();
  #waiting: Waiting[] = [];

  constructor({ hosts, networks }: WebhookHosts, look: Look = lookup) {
    this.#hosts = hosts;
    this.#look = look;
    for (const { address, bits, family } of networks) this.#named.addSubnet(address, bits, family);
  }

  /** @returns why nothing is sent to this URL, or `null` */
  readonly fault = (text: string): string | null => {
    if (!URL.canParse(text)) return 'not a URL';
    const url = new URL(text);
    const { protocol, username, password } = url;
    if (protocol !== 'https:' && protocol !== 'http:') return 'a URL of https is needed';
    if (username !== '' || password !== '') return 'a URL without user and password is needed';
    if (this.#entryFor(url) !== undefined) return null;
    return `${protocol}//${url.host} is not in http.webhookHosts`;
  };

  /** @param text a URL. @returns the entry that allows it; `null`: none does */
  entryOf(text: string): string | null {
    const entry = URL.canParse(text) ? this.#entryFor(new URL(text)) : undefined;
    return entry === undefined ? null : `${entry.protocol}//${entry.name}:${entry.port}`;
  }

  #entryFor(url: URL): WebhookHost | undefined {
    return this.#hosts.find((host) => isOf(url, host));
  }

  /** For `net.connect`: fails for a name whose addresses are not all allowed. */
  readonly lookup: LookupFunction = (name, options, done) => {
    this.#inTurn(this.#domainOf(name), (over) => {
      this.#look(name, { ...options, all: true }, (error, addresses) => {
        over();
        const wrong = error ?? this.#wrongOf(name, addresses);
        if (wrong !== null) done(wrong, '');
        else if (options.all === true) done(null, addresses.slice(0, ADDRESSES_MAX));
        else done(null, addresses[0]?.address ?? '', addresses[0]?.family);
      });
    });
  };

  #wrongOf(name: string, addresses: readonly LookupAddress[]): Error | null {
    const wrong = addresses.find(
      ({ address, family }) =>
        !isPublic(address) && !this.#named.check(address, family === 6 ? 'ipv6' : 'ipv4'),
    );
    if (wrong === undefined) return addresses.length > 0 ? null : new Error(`${name}: no address`);
    const why = 'not a public address, and in no network of http.webhookHosts';
    return new Error(`${name} is ${wrong.address}: ${why}`);
  }

  /** The name in the entry that allows it. */
  #domainOf(name: string): string {
    return this.#hosts.find((host) => isNameOf(name, host))?.name ?? name;
  }

  /** Begins look-ups one at a time for each entry: slow answers for one domain do not hold back the others. */
  #inTurn(entry: string, begin: Waiting['begin']): void {
    this.#waiting.push({ entry, begin, until: performance.now() + WAIT_MS });
    this.#next();
  }

  #next(): void {
    const now = performance.now();
    this.#waiting = this.#waiting.filter(({ until }) => until > now);
    while (this.#looking.size < LOOKUPS_MAX) {
      const isSlow = [...this.#looking].some((entry) => this.#slow.has(entry));
      const at = this.#waiting.findIndex(
        ({ entry }) => !this.#looking.has(entry) && !(isSlow && this.#slow.has(entry)),
      );
      const [next] = at === -1 ? [] : this.#waiting.splice(at, 1);
      if (next === undefined) return;
      this.#looking.add(next.entry);
      next.begin(() => {
        this.#looking.delete(next.entry);
        if (performance.now() - now > SLOW_MS) this.#slow.add(next.entry);
        else this.#slow.delete(next.entry);
        this.#next();
      });
    }
  }
}

function isOf({ protocol, hostname, port }: URL, host: WebhookHost): boolean {
  const usual = protocol === 'https:' ? 443 : 80;
  const isThere = (port === '' ? usual : Number(port)) === host.port;
  return protocol === host.protocol && isThere && isNameOf(hostname, host);
}

function isNameOf(hostname: string, { name }: WebhookHost): boolean {
  if (!name.startsWith('.') || isIP(hostname) !== 0) return hostname === name;
  return hostname.endsWith(name);
}
