/** URLs of databases that speak PostgreSQL's protocol. */

const DEFAULT_PORT = 5432;
const MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;

/** How the connection is protected: as libpq's `sslmode`, without those that fall back. */
type TlsMode = (typeof MODES)[number];

export interface DatabaseHost {
  /** A name, an address, or the directory of a socket. */
  readonly host: string;
  readonly port: number;
}

export interface DatabaseAddress {
  readonly hosts: readonly DatabaseHost[];
  readonly database: string;
  readonly user: string;
  /** Protection by TLS; `null`: not said. On loopback nothing is needed, elsewhere `verify-full`. */
  readonly tls: TlsMode | null;
  /** File of the certificate authorities; `null`: those of the system. */
  readonly rootCertificate: string | null;
  /** Files of this client's certificate and key; `null`: none. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | null;
}

/** Whether the text of `titanic.store` is meant as the URL of a database. */
export function isPostgres(store: string): boolean {
  return /^postgres(ql)?:\/\//.test(store);
}

const PARAMETERS = ['host', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'];
/** Only the login has an `@`: with a `/` in a password, the rest would be taken for a host and shown. */
const FORM = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^@/?]*)\/([^@?]*)(?:\?(.*))?$/;

/**
 * Reads `postgresql://USER@HOST:PORT,HOST:PORT/DATABASE?sslmode=…`.
 * @returns the address; a text: what is wrong with the URL
 * @example
 * databaseAddressOf('postgresql://majordomo@db1,db2:5433/queue')
 */
export function databaseAddressOf(url: string): DatabaseAddress | string {
  const match = FORM.exec(url);
  if (match === null) return 'not of the form postgresql://USER@HOST:PORT/DATABASE';
  const [, login = '', authority = '', path = '', query = ''] = match;
  if (login.includes(':')) {
    return 'a password does not belong into the URL: put it into a file, titanic.storePasswordFile';
  }
  const user = decode(login);
  const database = decode(path);
  if (user === null || database === null) return 'its %-escapes are wrong';
  if (user === '') return 'the user is missing: postgresql://USER@HOST/DATABASE';
  if (database === '') return 'the database is missing: postgresql://USER@HOST/DATABASE';
  const parameters = new URLSearchParams(query);
  const unknown = [...parameters.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) {
    return `unknown parameter ${unknown}: there are ${PARAMETERS.join(', ')}`;
  }
  const hosts = hostsOf(authority, parameters.get('host'));
  if (typeof hosts === 'string') return hosts;
  const mode = parameters.get('sslmode');
  const tls = MODES.find((each) => each === mode) ?? null;
  if (mode !== null && tls === null) return `sslmode is one of ${MODES.join(', ')}`;
  const certFile = parameters.get('sslcert');
  const keyFile = parameters.get('sslkey');
  if ((certFile === null) !== (keyFile === null)) return 'sslcert and sslkey belong together';
  const certificate = certFile === null || keyFile === null ? null : { certFile, keyFile };
  return {
    hosts,
    database,
    user,
    tls,
    rootCertificate: parameters.get('sslrootcert'),
    certificate,
  };
}

function hostsOf(authority: string, directory: string | null): readonly DatabaseHost[] | string {
  if (authority === '' && directory?.startsWith('/') === true) {
    return [{ host: directory, port: DEFAULT_PORT }];
  }
  if (directory !== null) return 'host is only for the directory of a socket: ///DATABASE?host=/…';
  const hosts: DatabaseHost[] = [];
  for (const each of authority.split(',')) {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(each);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3] ?? DEFAULT_PORT);
    if (host === undefined || port < 1 || port > 65_535) return `not a host: ${each}`;
    hosts.push({ host, port });
  }
  return hosts;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** `db1:5432`, as in messages. */
export function shownHost({ host, port }: DatabaseHost): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
