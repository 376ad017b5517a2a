/** How a connection is made: to the server that may be written to, with its login and its TLS. */
import { readFileSync, statSync } from 'node:fs';
import { isIP, Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

import { Client } from 'pg';

import { codeOf, detailsOf, MajordomoError, messageOf } from '../../core/errors.js';
import { type DatabaseHost, type DatabaseAddress, shownHost } from '../../core/postgres-url.js';
import { mayOthersUse, privateRemedy } from '../../core/private-file.js';
import { Connection } from './connection.js';
import {
  PERMISSION_DENIED,
  stateOf,
  storeText,
  textOf,
  TimeOver,
  TOO_MANY_CONNECTIONS,
} from './failures.js';
import { pooledState, refuseSharedSession, tooFew } from './pooler.js';
import type { ReconnectPauses } from './reconnect-pauses.js';
import {
  beginSession,
  formerPrimary,
  type History,
  isOlder,
  type ServerIdentity,
} from './server.js';
import type { Check } from './tables.js';
import { RESULT_TYPES } from './values.js';

/** What a connection needs besides the address. */
export interface Login {
  readonly address: DatabaseAddress;
  /** `null`: none. Read anew for each connection, so that it can be changed. */
  readonly passwordFile: string | null;
  /** Whether every host is this machine. */
  readonly isLoopback: boolean;
  /** The newest history of the store that was seen before; absent: any is taken. */
  readonly history?: History | null;
}

/** What is known of the servers of a store, by all connections to it. */
export interface Known {
  /** Where in the list of hosts the one is that was connected to last. */
  hostIndex: number;
  /** The newest history that was seen. */
  history?: History | null;
  /** Connections through a pooler, by the process of the server that each has. */
  pooled?: Map<string, Connection>;
  /** Pauses before the next try to connect. */
  pauses?: ReconnectPauses;
}

function tlsOf({ address, isLoopback }: Login, host: string): ConnectionOptions | false {
  const mode = address.tls ?? (isLoopback ? 'disable' : 'verify-full');
  if (mode === 'disable') return false;
  const { rootCertificate, certificate } = address;
  const isVerified = mode !== 'require';
  return {
    rejectUnauthorized: isVerified,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(rootCertificate === null ? {} : { ca: readFile(rootCertificate, 'sslrootcert') }),
    ...(certificate === null
      ? {}
      : {
          cert: readFile(certificate.certFile, 'sslcert'),
          key: readFile(certificate.keyFile, 'sslkey'),
        }),
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

/** @throws ERR_TITANIC_STORE if it cannot be read, or others can read it */
function readPassword(path: string): string {
  const what = 'titanic.storePasswordFile';
  // The line of the file; a password may begin or end with a space.
  const password = readFile(path, what).replace(/\r?\n$/, '');
  const stats = statSync(path);
  const isShared = mayOthersUse(stats);
  if (!isShared && password !== '') return password;
  const fault = isShared
    ? `other users can read it: ${privateRemedy(stats, path)}`
    : `${path} is empty`;
  throw new MajordomoError('ERR_TITANIC_STORE', `${what}: ${fault}`);
}

function readFile(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const fault = codeOf(error) === 'ENOENT' ? `${path} does not exist` : messageOf(error);
    throw new MajordomoError('ERR_TITANIC_STORE', `${what}: ${fault}`, { cause: error });
  }
}

/**
 * Connects to the first of the hosts that may be written to.
 * @param known the host that it names is tried first; a former primary is not used
 * @param check part of the time for its host is for this
 * @throws ERR_TITANIC_STORE for what a person must mend, ERR_TITANIC_STORE_AWAY otherwise: for the
 * first host that says why it does not serve, or else the last one
 */
export async function connect(
  login: Login,
  known: Known,
  timeoutMs: number,
  check: Check<Connection> = () => Promise.resolve(),
): Promise<{ connection: Connection; server: ServerIdentity; hostIndex: number }> {
  const { hosts } = login.address;
  let worst: MajordomoError | null = null;
  const eachMs = Math.max(100, timeoutMs / hosts.length);
  for (const step of hosts.keys()) {
    const hostIndex = (known.hostIndex + step) % hosts.length;
    const host = hosts[hostIndex];
    if (host === undefined) continue;
    try {
      return { ...(await connectTo(login, known, host, eachMs, check)), hostIndex };
    } catch (error) {
      const failed = connectError(login, host, error);
      if (worst?.code !== 'ERR_TITANIC_STORE') worst = failed;
    }
  }
  throw worst ?? new MajordomoError('ERR_TITANIC_STORE', 'titanic.store names no host');
}

async function connectTo(
  login: Login,
  known: Known,
  host: DatabaseHost,
  timeoutMs: number,
  check: Check<Connection>,
  isFirst = true,
): Promise<{ connection: Connection; server: ServerIdentity }> {
  const another = (): Connection => newConnection(login, host, timeoutMs);
  const connection = another();
  const progress = { isOpened: false, isPooled: false };
  const begin = async (): Promise<ServerIdentity> => {
    await connection.client.connect();
    progress.isOpened = true;
    // A pooler lets everybody in, and waits with the first statement for a connection to the server.
    progress.isPooled = true;
    await refuseSharedSession(connection, known, another, timeoutMs);
    progress.isPooled = false;
    const identity = await beginSession(connection);
    const newest = known.history ?? login.history ?? null;
    if (newest !== null && isOlder(identity, newest)) throw formerPrimary(identity, newest);
    const server = { host: shownHost(host), ...identity };
    await check(connection, server);
    return server;
  };
  try {
    return { connection, server: await connection.within(timeoutMs, begin()) };
  } catch (error) {
    // One that ends by itself after its login says little: what lasts is why the next one cannot be made, or ends as well.
    const isBroken = progress.isOpened && !connection.isOpen && !(error instanceof TimeOver);
    connection.destroy();
    if (isFirst && isBroken) return await connectTo(login, known, host, timeoutMs, check, false);
    if (progress.isOpened && stateOf(error) === PERMISSION_DENIED) {
      // Not the right to connect, which it has.
      throw new MajordomoError('ERR_TITANIC_STORE', textOf(error), { cause: error });
    }
    if (!progress.isPooled || !(error instanceof TimeOver)) throw error;
    throw tooFew(
      `${textOf(error)} after the login: a pooler whose connections are all taken, or a server that is too slow`,
    );
  }
}

/** A connection that is not open yet. */
function newConnection(login: Login, host: DatabaseHost, timeoutMs: number): Connection {
  const { database, user } = login.address;
  const { passwordFile } = login;
  const password = passwordFile === null ? undefined : readPassword(passwordFile);
  const socket = new Socket();
  const client = new Client({
    host: host.host,
    port: host.port,
    database,
    user,
    stream: () => socket,
    // Without one, the library would look for a password in the environment and in a home directory.
    password: password ?? (() => ''),
    ssl: tlsOf(login, host.host),
    application_name: 'majordomo',
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    types: RESULT_TYPES,
    pipeline: true,
  });
  return new Connection(client, socket);
}

const WRONG_LOGIN: ReadonlyMap<string, string> = new Map([
  ['28P01', 'check titanic.storePasswordFile and the user in titanic.store'],
  ['28000', 'check the user in titanic.store, and pg_hba.conf of the server'],
  ['3D000', 'create the database, or name another one in titanic.store'],
]);

/** The SQLSTATE of all that PgBouncer says itself, or passes on from the login at the server. */
const POOLERS_OWN = '08P01';

const NO_HOST = 'correct titanic.store, or the names that this machine can look up';

/** What codes of the system say of a server that is not there, and what helps. */
const AWAY: ReadonlyMap<string, (at: string) => string> = new Map([
  [
    'ECONNREFUSED',
    (at: string) => `connection refused; start PostgreSQL at ${at}, or correct titanic.store`,
  ],
  ['ENOTFOUND', () => `unknown host; ${NO_HOST}`],
  ['EAI_AGAIN', () => `the host cannot be looked up now; ${NO_HOST}`],
]);

/** Errors of TLS that only a person can mend. */
const WRONG_TLS =
  /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_OSSL|HOSTNAME_MISMATCH)/;

function connectError(login: Login, host: DatabaseHost, error: unknown): MajordomoError {
  const { database, user } = login.address;
  const name = `${shownHost(host)}/${database}`;
  const where = `store ${name}`;
  const code = codeOf(error) ?? '';
  if (code.startsWith('ERR_TITANIC_')) {
    const details = detailsOf(error);
    return new MajordomoError(code, storeText(name, error), { cause: error, details });
  }
  const text = textOf(error);
  const isPoolers = stateOf(error) === POOLERS_OWN;
  const state = isPoolers ? pooledState(text) : stateOf(error);
  const own = isPoolers
    ? ' (a pooler says so: the users and databases that it knows count, too)'
    : '';
  const help =
    state === PERMISSION_DENIED
      ? `GRANT CONNECT ON DATABASE "${database}" TO "${user}"`
      : WRONG_LOGIN.get(state);
  const isTls = WRONG_TLS.test(code) || /does not support SSL|SSL required/.test(text);
  if (text.includes('password must be a')) {
    const wanted = `${where}: the server wants a password: set titanic.storePasswordFile`;
    return new MajordomoError('ERR_TITANIC_STORE', wanted, { cause: error });
  }
  const what = isTls
    ? 'check the certificate, or say how the connection is protected with ?sslmode='
    : (help ?? (text.includes('SASL') ? 'check titanic.storePasswordFile' : undefined));
  if (what !== undefined) {
    return new MajordomoError('ERR_TITANIC_STORE', `${where}: ${text}; ${what}${own}`, {
      cause: error,
    });
  }
  if (state === TOO_MANY_CONNECTIONS) {
    const { message, details } = tooFew(text);
    return new MajordomoError('ERR_TITANIC_STORE_AWAY', `${where}: ${message}`, {
      cause: error,
      details,
    });
  }
  const away = AWAY.get(code)?.(shownHost(host));
  const said = away === undefined ? text : `does not answer: ${away}`;
  return new MajordomoError('ERR_TITANIC_STORE_AWAY', `${where}: ${said}`, { cause: error });
}
