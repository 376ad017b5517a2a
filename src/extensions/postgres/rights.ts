/** The rights that the role of a broker needs, and the statements that give it those it lacks. */
import { codeOf, MajordomoError } from '../../core/errors.js';
import { damageOf, lacksOf } from './catalog.js';
import type { Connection } from './connection.js';
import { commandError, isOfOtherTables, PERMISSION_DENIED, stateOf, textOf } from './failures.js';
import { FORMAT, SCHEMA } from './schema.js';

/** Whose rights, and where. */
export interface Who {
  readonly user: string;
  readonly database: string;
}

/** Tables of which a right is missing. */
const LACKING = `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = '${SCHEMA}' AND c.relkind IN ('r', 'p') AND NOT (
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))`;

/** What is there, and which rights on it are missing. Readable for everybody. */
const RIGHTS = `SELECT has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE'),
    EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p'))
  FROM pg_namespace n WHERE n.nspname = '${SCHEMA}'`;
const STRANGERS = `SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = '${SCHEMA}' AND c.relkind IN ('r', 'p') AND NOT pg_has_role(c.relowner, 'USAGE'))`;
const MAY_MAKE = "SELECT has_database_privilege(current_database(), 'CREATE')";

/** The tables, with their schema, of which the role lacks a right. */
export async function lackingTables(connection: Connection): Promise<readonly string[]> {
  return (await connection.ask(LACKING)).map(([name]) => `${SCHEMA}.${String(name)}`);
}

export function isMissingRight(error: unknown): boolean {
  return stateOf(error) === PERMISSION_DENIED;
}

/** Explains a statement that was denied. The connection is in no transaction. */
export async function missingRight(
  connection: Connection,
  error: unknown,
  who: Who,
): Promise<MajordomoError> {
  const help = (await missingGrants(connection, who)) ?? (await ownersHelp(connection, who));
  return new MajordomoError('ERR_TITANIC_STORE', `${textOf(error)}: ${help}`, { cause: error });
}

/**
 * What an error means for a command that works on a database by itself, with what is missing: rights of
 * the role, or something of the tables. Ends the transaction that is open.
 */
export async function failedCommand(
  connection: Connection,
  error: unknown,
  who: Who,
): Promise<unknown> {
  const isExplained = isMissingRight(error) || isOfOtherTables(error);
  if (!isExplained || !connection.isOpen) return commandError(error, connection.isOpen);
  try {
    await connection.ask('ROLLBACK');
    if (isMissingRight(error)) return await missingRight(connection, error, who);
    return damageOf(await lacksOf(connection)) ?? commandError(error, connection.isOpen);
  } catch (found) {
    const isOfTables = codeOf(found) === 'ERR_TITANIC_VERSION';
    return isOfTables ? found : commandError(error, connection.isOpen);
  }
}

/**
 * Whether a broker could work with what is there, or make it.
 * @throws ERR_TITANIC_STORE with the statements that give the role what it lacks
 */
export async function refuseMissingRights(connection: Connection, who: Who): Promise<void> {
  const help = await missingGrants(connection, who);
  if (help !== null) throw lacks(who, help);
}

/**
 * Refuses tables of an older format, which a broker would change, if the role may not change them.
 * @throws ERR_TITANIC_STORE
 */
export async function refuseStrangersTables(
  connection: Connection,
  format: number,
  who: Who,
): Promise<void> {
  if (format >= FORMAT) return;
  const [, mayCreate] = (await connection.ask(RIGHTS))[0] ?? [];
  const [strangers] = await connection.ask(STRANGERS);
  if (mayCreate !== true || strangers?.[0] === true) {
    throw lacks(who, await ownersHelp(connection, who));
  }
}

function lacks({ user }: Who, help: string): MajordomoError {
  return new MajordomoError('ERR_TITANIC_STORE', `the role ${user} lacks a right: ${help}`);
}

/** The statements that give the role what it lacks; `null`: nothing that can be granted. */
async function missingGrants(
  connection: Connection,
  { user, database }: Who,
): Promise<string | null> {
  const role = `"${user}"`;
  const [found] = await connection.ask(RIGHTS);
  if (found === undefined) {
    const [made] = await connection.ask(MAY_MAKE);
    return made?.[0] === true ? null : `GRANT CREATE ON DATABASE "${database}" TO ${role}`;
  }
  const [mayUse, mayCreate, hasTables] = found;
  if (hasTables !== true) {
    const isEnough = mayUse === true && mayCreate === true;
    return isEnough ? null : `GRANT USAGE, CREATE ON SCHEMA ${SCHEMA} TO ${role}`;
  }
  const tables = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${SCHEMA} TO ${role}`;
  if (mayUse !== true) return `GRANT USAGE ON SCHEMA ${SCHEMA} TO ${role}; ${tables}`;
  return (await lackingTables(connection)).length > 0 ? tables : null;
}

async function ownersHelp(connection: Connection, { user }: Who): Promise<string> {
  const [, mayCreate] = (await connection.ask(RIGHTS))[0] ?? [];
  const owner = 'or start this version once as the role that owns the tables';
  return mayCreate === true ? owner : `GRANT CREATE ON SCHEMA ${SCHEMA} TO "${user}"; ${owner}`;
}
