/** The statements of hints. */
import type { Connection } from './connection.js';
import { SCHEMA } from './schema.js';
import type { Statement } from './statements.js';

const CHANNEL = 'majordomo';
const NOTIFY: Statement = { name: 'notify', text: 'SELECT pg_notify($1, $2)' };
/**
 * Who may send a hint. Anyone who may connect can notify, but the server itself says which of its processes did:
 * those of roles that may write to the store are brokers, whatever their version.
 */
const SENDERS: Statement = {
  name: 'senders',
  text: `SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND has_table_privilege(usesysid, '${SCHEMA}.broker', 'UPDATE')`,
};

export async function listen(
  connection: Connection,
  heard: (payload: string, processId: number) => void,
): Promise<void> {
  await connection.listen(CHANNEL, heard);
}

export async function listenAgain(connection: Connection): Promise<void> {
  await connection.ask(`LISTEN ${CHANNEL}`);
}

export async function unlisten(connection: Connection): Promise<void> {
  await connection.ask(`UNLISTEN ${CHANNEL}`);
}

export async function notify(connection: Connection, payload: Buffer): Promise<void> {
  await connection.run(NOTIFY, [Buffer.from(CHANNEL), payload]);
}

export async function senders(connection: Connection): Promise<ReadonlySet<unknown>> {
  return new Set((await connection.run(SENDERS, [])).map(([processId]) => processId));
}
