/**
 * Addresses that a node reports of itself: HTTP by `mmi.broker`, endpoints by `/api/v1/status`. The
 * node that answers may be a stranger. So an address counts only if it is well-formed and possible
 * for the node that was asked, and the token goes only to the host that the user named.
 */
import { parseDialEndpoint } from '../../config/endpoint.js';
import { MajordomoError } from '../../core/errors.js';
import { shownUrl } from '../../core/web-address.js';
import { type AdminAddress, isLocal, isLoopbackHost, parseAdminAddress } from './admin-address.js';
import type { Facts } from '../common/facts.js';
import { printable } from '../common/output.js';

/** An HTTP address that a node reported. */
export interface LearntAddress {
  readonly place: AdminAddress;
  /** The node that reported it. */
  readonly by: string;
  /** The token may be sent there. */
  readonly isTrusted: boolean;
}

/** What an endpoint is for. */
export interface Want {
  readonly client: boolean;
  readonly worker: boolean;
  /** Keys were given; `null`: with or without keys. */
  readonly curve: boolean | null;
}

const ADDRESS_LETTERS_MAX = 1024;
const ENDPOINTS_MAX = 64;
const SHOWN_LETTERS_MAX = 80;
/** A listener on all addresses: of IPv4, of both. */
const EVERY = /^([a-z]+:\/\/)(\*|0\.0\.0\.0|\[::\])(?=[:/]|$)/;

export function notLearnt(text: string): MajordomoError {
  return new MajordomoError('ERR_NOT_LEARNT', text);
}

/**
 * Where the broker at `endpoint` answers HTTP.
 * @param isSealed it was asked over CURVE, so it is the right broker and its answer is unchanged
 * @throws ERR_NOT_LEARNT
 */
export function learntHttpAddress(
  status: Facts,
  endpoint: string,
  isSealed: boolean,
  caFile: string | undefined,
): LearntAddress {
  const { http, publicUrl = null } = status;
  if (http === undefined) {
    throw notLearnt(
      `the broker at ${endpoint} does not report its HTTP address: it is no Majordomo or an older version, or its listener has \`mmi: minimal\`, the default on a network address without keys; give --admin`,
    );
  }
  if (http === null) {
    throw notLearnt(
      `the broker at ${endpoint} has HTTP switched off (http.listen: off): set http.listen there`,
    );
  }
  const asked = hostOfEndpoint(endpoint);
  const reported = [publicUrl, http].flatMap((text) => {
    if (text === null) return [];
    const place = placeIn(text, asked, endpoint, caFile);
    return place === null ? [] : [place];
  });
  const places = reported.map((place): LearntAddress => {
    return { place, by: endpoint, isTrusted: mayGetToken(place, asked, isSealed) };
  });
  const best = places.find(({ isTrusted }) => isTrusted) ?? places[0];
  if (best !== undefined) return best;
  throw notLearnt(
    `the broker at ${endpoint} answers HTTP only on its own machine (${shown(http)}): run the command there, or give --admin`,
  );
}

/** A port beside those of MDP that `mmi.broker` reports. */
export interface SidePort {
  readonly option: string;
  /** What it is, and what the broker does there. */
  readonly name: string;
  readonly does: string;
}

/**
 * The port of an extension.
 * @param reported in `mmi.broker` of the broker at `endpoint`
 * @throws ERR_NOT_LEARNT
 */
export function learntPort(
  reported: unknown,
  { option, name, does }: SidePort,
  endpoint: string,
): string {
  if (reported === undefined) {
    throw notLearnt(
      `the broker at ${endpoint} does not report whether it does ${does}: it is no Majordomo or an older version, or its listener has \`mmi: minimal\`; give --${option}`,
    );
  }
  if (reported === null) {
    throw notLearnt(`the broker at ${endpoint} does not ${does}: set ${option}.listen there`);
  }
  const refused = (why: string): MajordomoError =>
    notLearnt(
      `the endpoint of ${name} that ${endpoint} reports is not accepted (${why}): ${shown(reported)}`,
    );
  const isText = typeof reported === 'string' && reported.length <= ADDRESS_LETTERS_MAX;
  if (!isText || /\p{C}/u.test(reported)) throw refused('not a line of text');
  const asked = hostOfEndpoint(endpoint);
  const text = reachedBy(reported, asked);
  const parsed = parseDialEndpoint(text);
  if (!parsed.ok) throw refused(parsed.why);
  const host = hostOfEndpoint(text);
  const isHere = asked === null || isLoopbackHost(asked);
  if (!isHere && (host === null || (leadsHere(host) && host !== asked))) {
    throw notLearnt(
      `the broker at ${endpoint} has the port of ${name} only on its own machine: run the command there`,
    );
  }
  return text;
}

/**
 * The most suitable endpoint of the node at `place`.
 * @throws ERR_NOT_LEARNT
 */
export function learntEndpoint(status: Facts, place: AdminAddress, want: Want): string {
  const { endpoints } = status;
  const { name } = place;
  if (endpoints === undefined) {
    throw notLearnt(
      `the node at ${name} does not report its endpoints: it is no Majordomo, or an older version`,
    );
  }
  if (!Array.isArray(endpoints) || endpoints.length > ENDPOINTS_MAX) {
    throw notLearnt(`unexpected answer from ${name}: its list of endpoints is invalid`);
  }
  const all = endpoints.map((item: unknown) => listenerIn(item, place));
  const listening = all.filter((each) => each !== null);
  if (all.length === 0) throw notLearnt(`the node at ${name} does not listen yet: try again`);
  if (listening.length === 0) {
    throw notLearnt(`the broker of ${name} listens only on its own machine: run the command there`);
  }
  const fit = listening.filter(
    ({ client, worker }) => (client || !want.client) && (worker || !want.worker),
  );
  if (fit.length === 0) {
    const who = want.client && want.worker ? 'both clients and workers' : roleOf(want);
    throw notLearnt(`the broker of ${name} has no listener for ${who}`);
  }
  const found = fit.find(({ curve }) => curve === (want.curve ?? curve));
  if (found !== undefined) return found.endpoint;
  throw notLearnt(
    want.curve === true
      ? `the broker of ${name} has no listener with CURVE, and keys were given`
      : `the broker of ${name} needs keys: --curve-server-key, --curve-key-file`,
  );
}

function roleOf({ client }: Want): string {
  return client ? 'clients' : 'workers';
}

// ---------------------------------------------------------------- HTTP

/** The host of an endpoint in the form of URLs; `null`: a socket of this machine. */
function hostOfEndpoint(endpoint: string): string | null {
  const parsed = parseDialEndpoint(endpoint);
  if (!parsed.ok || parsed.value.scheme === 'ipc') return null;
  const url = `http://${parsed.value.host}/`;
  // The host has a zone, which a URL cannot have.
  return URL.canParse(url) ? plain(new URL(url).hostname) : parsed.value.host;
}

/** `null`: an address that only programs on the other machine can use. */
function placeIn(
  reported: unknown,
  asked: string | null,
  endpoint: string,
  caFile: string | undefined,
): AdminAddress | null {
  const refused = (why: string): MajordomoError =>
    notLearnt(
      `the HTTP address that ${endpoint} reports is not accepted (${why}): ${shown(reported)}; give --admin`,
    );
  if (typeof reported !== 'string') throw refused('not a string');
  if (reported.length > ADDRESS_LETTERS_MAX) {
    throw refused(`over ${ADDRESS_LETTERS_MAX} characters`);
  }
  if (/\p{C}/u.test(reported)) throw refused('control characters');
  const isHere = asked === null || isLoopbackHost(asked);
  if (reported.startsWith('unix:')) {
    if (!/^unix:[/@]/.test(reported)) throw refused('not an absolute path');
    return isHere ? parseAdminAddress(reported, 'http', caFile) : null;
  }
  if (!/^https?:\/\//.test(reported)) throw refused('neither http:// nor https://');
  const text = reachedBy(reported, asked);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw refused('not a URL');
  if (url.username !== '' || url.password !== '') throw refused('contains a user or password');
  if (url.search !== '' || url.hash !== '') throw refused('contains a query');
  const isAsked = plain(url.hostname) === asked;
  if (leadsHere(url.hostname) && !isHere && !isAsked) return null;
  return parseAdminAddress(text, 'http', caFile);
}

/**
 * The token is for the node that the user named; over a network, only if nobody else can read it.
 */
function mayGetToken(place: AdminAddress, asked: string | null, isSealed: boolean): boolean {
  if (asked === null || isLoopbackHost(asked)) return isLocal(place);
  const { url } = place;
  return plain(url.hostname) === asked && (url.protocol === 'https:' || isSealed);
}

// ---------------------------------------------------------------- MDP

interface Listener extends Want {
  readonly endpoint: string;
}

/** `null`: an endpoint that only programs on the other machine can use. */
function listenerIn(item: unknown, place: AdminAddress): Listener | null {
  const refused = (why: string): MajordomoError =>
    notLearnt(`an endpoint that ${place.name} reports is not accepted (${why}): ${shown(item)}`);
  if (typeof item !== 'object' || item === null) throw refused('not an object');
  const { endpoint, client, worker, curve }: Facts = { ...item };
  if (typeof endpoint !== 'string' || endpoint.length > ADDRESS_LETTERS_MAX) {
    throw refused('no endpoint');
  }
  if (/\p{C}/u.test(endpoint)) throw refused('control characters');
  if (typeof client !== 'boolean' || typeof worker !== 'boolean' || typeof curve !== 'boolean') {
    throw refused('without client, worker or curve');
  }
  const isHere = isLocal(place);
  const asked = place.socketPath === null ? plain(place.url.hostname) : null;
  const text = reachedBy(endpoint, asked);
  const parsed = parseDialEndpoint(text);
  if (!parsed.ok) throw refused(parsed.why);
  const { value } = parsed;
  const host = hostOfEndpoint(text);
  if (!isHere && (host === null || (leadsHere(host) && host !== asked))) return null;
  if (value.scheme === 'ipc' && !/^[/@]/.test(value.path)) throw refused('not an absolute path');
  return { endpoint: text, client, worker, curve };
}

// ---------------------------------------------------------------- both

/**
 * For a listener on all addresses, takes the host by which the node was reached.
 * @param asked `null`: over a socket of this machine
 */
function reachedBy(reported: string, asked: string | null): string {
  return reported.replace(EVERY, (_all, scheme: string, every: string) => {
    const isOfIpv6 = every === '[::]';
    if (asked === null) return scheme + (isOfIpv6 ? '[::1]' : '127.0.0.1');
    return scheme + (asked === '[::1]' && !isOfIpv6 ? '127.0.0.1' : asked);
  });
}

/** A program that connects to it reaches its own machine, whatever was meant. */
function leadsHere(host: string): boolean {
  const url = `http://${host}/`;
  const name = URL.canParse(url) ? plain(new URL(url).hostname) : host;
  return (
    isLoopbackHost(name) || /^(0\.0\.0\.0|\[::\]|\[::ffff:(7f[\da-f]{2}|0):[\da-f]+\])$/.test(name)
  );
}

/** A host in the form in which hosts are compared. */
function plain(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

function shown(reported: unknown): string {
  const text = shownUrl(printable(reported));
  return text.length > SHOWN_LETTERS_MAX ? `${text.slice(0, SHOWN_LETTERS_MAX)}…` : text;
}
