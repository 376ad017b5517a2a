import { IPC_PATH_BYTES_MAX } from '../core/system.js';

/** The parts of an endpoint; with `port` 0 the operating system chooses. */
export type Endpoint =
  | { readonly scheme: 'tcp'; readonly host: string; readonly port: number }
  | { readonly scheme: 'ipc'; readonly path: string };

/** The result of parsing: a value, or what is wrong with the text. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

const PORT_MAX = 65_535;
const NAME = /^(?=.{1,253}$)[A-Za-z0-9_]([\w-]{0,62})(\.[A-Za-z0-9_][\w-]{0,62})*\.?$/;
const ONLY_NUMBERS = /^[\d.]+$/;
const IPV4 = /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}$/;

function bad(why: string): { readonly ok: false; readonly why: string } {
  return { ok: false, why };
}

function isHost(host: string): boolean {
  if (host === '*') return true;
  if (host.startsWith('[')) {
    const inner = /^\[([\da-fA-F:.]{2,45})(%[\w.-]{1,32})?\]$/.exec(host);
    return inner !== null && URL.canParse(`http://[${inner[1] ?? ''}]/`);
  }
  return ONLY_NUMBERS.test(host) ? IPV4.test(host) : NAME.test(host);
}

/** `host:port`, as in `tcp://` endpoints and `http.listen`. */
function parseAddress(text: string): Parsed<{ host: string; port: number }> {
  const match = /^(\[[^\]]*\]|[^:]*):([^:]*)$/.exec(text);
  if (match === null) {
    const colons = text.split(':').length - 1;
    return bad(colons > 1 ? 'IPv6 addresses need brackets: [::1]:5555' : 'the port is missing');
  }
  const host = match[1] ?? '';
  const port = match[2] ?? '';
  if (host === '') return bad('the host is missing (* is every interface)');
  if (!isHost(host)) return bad('the host is neither a name, an IPv4 address, [IPv6] nor *');
  if (port === '*') return { ok: true, value: { host, port: 0 } };
  if (!/^\d{1,5}$/.test(port) || Number(port) > PORT_MAX) {
    return bad(`the port is not a number from 0 to ${PORT_MAX}`);
  }
  return { ok: true, value: { host, port: Number(port) } };
}

/** An endpoint to listen on: `tcp://host:port` (port 0 or `*`: any), `ipc://path`. */
export function parseEndpoint(text: string): Parsed<Endpoint> {
  const match = /^([a-z]+):\/\/(.*)$/s.exec(text);
  if (match === null) {
    const hint = parseAddress(text).ok ? `; did you mean tcp://${text}` : '';
    return bad(`it does not begin with tcp:// or ipc://${hint}`);
  }
  const rest = match[2] ?? '';
  if (match[1] === 'tcp') {
    const address = parseAddress(rest);
    return address.ok ? { ok: true, value: { scheme: 'tcp', ...address.value } } : address;
  }
  if (match[1] !== 'ipc') return bad('only tcp:// and ipc:// are supported');
  if (rest === '' || rest === '*') return bad('the socket path is missing');
  if (rest.includes('\0')) return bad('the path contains a zero byte');
  if (new TextEncoder().encode(rest).length > IPC_PATH_BYTES_MAX) {
    return bad(`the path is longer than ${IPC_PATH_BYTES_MAX} bytes`);
  }
  return { ok: true, value: { scheme: 'ipc', path: rest } };
}

/** `http.listen`: an address, also as the URL that `serve` prints, `unix:PATH`, or `off`, which is null. */
export function parseHttpListen(text: string): Parsed<Endpoint | null> {
  if (text === 'off') return { ok: true, value: null };
  // Two slashes before an absolute path are also accepted, as in gRPC and Docker.
  const path = /^unix:(?:\/\/(?=\/))?(.*)$/s.exec(text)?.[1];
  if (path !== undefined) return parseEndpoint(`ipc://${path}`);
  const address = parseAddress(text.replace(/^https?:\/\//, ''));
  return address.ok ? { ok: true, value: { scheme: 'tcp', ...address.value } } : address;
}

/** An endpoint to connect to: one host, one port. */
export function parseDialEndpoint(text: string): Parsed<Endpoint> {
  const parsed = parseEndpoint(text);
  if (!parsed.ok || parsed.value.scheme !== 'tcp') return parsed;
  if (parsed.value.host === '*') return bad('cannot connect to *: give the host');
  if (parsed.value.port === 0) {
    return bad('port 0 or * (any free port) is only for listening: give the port to connect to');
  }
  return parsed;
}

const EVERY_INTERFACE: readonly string[] = ['*', '0.0.0.0'];

/** True if their text shows that one machine cannot bind both at once. */
export function collide(left: Endpoint, right: Endpoint): boolean {
  if (left.scheme === 'ipc' || right.scheme === 'ipc') {
    return left.scheme === 'ipc' && right.scheme === 'ipc' && left.path === right.path;
  }
  if (left.port === 0 || left.port !== right.port) return false;
  const hosts = [left.host.toLowerCase(), right.host.toLowerCase()];
  return hosts[0] === hosts[1] || hosts.some((host) => EVERY_INTERFACE.includes(host));
}
