/**
 * What the catalog of a database lacks of the tables that a store needs: an operator may have dropped it.
 * What is needed is read from the statements that make it.
 */
import { present } from '../../core/assert.js';
import { MajordomoError } from '../../core/errors.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { FORMAT, META, MIGRATIONS, NEWEST_READABLE, SCHEMA } from './schema.js';
import { optional } from './server.js';

/** What is missing in the database, without which the store does not work. */
interface Lack {
  readonly text: string;
  /** The statement that mends it; `null`: there is none. */
  readonly sql: string | null;
  /** Whether content has gone with it. */
  readonly isLost: boolean;
}

/** Without it the store works, but slowly. */
export interface MissingIndex {
  readonly text: string;
  readonly sql: string;
}

interface Lacks {
  readonly parts: readonly Lack[];
  readonly indexes: readonly MissingIndex[];
}

const NOTHING: Lacks = { parts: [], indexes: [] };

interface Column {
  readonly type: string;
  /** What else its statement says of it. */
  readonly rest: string;
}

interface Table {
  readonly columns: Map<string, Column>;
  /** The columns of its primary key. */
  key: readonly string[];
}

interface Needs {
  readonly tables: Map<string, Table>;
  readonly indexes: Map<string, { readonly table: string; readonly statement: string }>;
}

const CREATE_TABLE = /^CREATE TABLE (?:IF NOT EXISTS )?\w+\.(\w+) \((.*?)\)(?: WITH \([^()]*\))?$/;
const ADD_COLUMN = /^ALTER TABLE \w+\.(\w+) ADD COLUMN (.*)$/;
const CREATE_INDEX = /^CREATE INDEX (\w+) ON \w+\.(\w+) /;
const PRIMARY_KEY = /^PRIMARY KEY \((.*)\)$/;
const COLUMN = /^(\w+) (\w+)(|\W.*)$/;
/** What stands between commas, of which those in parentheses do not count. */
const PART = /(?:[^,()]|\([^()]*\))+/g;

/** @throws ERR_INTERNAL for a migration of a form that is new: this file is to learn it */
function needsOf(format: number): Needs {
  const needs: Needs = { tables: new Map(), indexes: new Map() };
  for (const text of [META, ...MIGRATIONS.slice(0, format).flat()]) {
    const statement = text.replaceAll(/\s+/g, ' ');
    const index = CREATE_INDEX.exec(statement);
    if (index !== null) {
      const [, name = '', table = ''] = index;
      needs.indexes.set(name, { table, statement });
      continue;
    }
    const made = CREATE_TABLE.exec(statement) ?? ADD_COLUMN.exec(statement);
    const [, name = '', parts = ''] = present(made, `a known form: ${statement}`);
    const table = needs.tables.get(name) ?? { columns: new Map<string, Column>(), key: [] };
    needs.tables.set(name, table);
    for (const [part] of parts.matchAll(PART)) addPart(table, part.trim());
  }
  return needs;
}

function addPart(table: Table, part: string): void {
  const key = PRIMARY_KEY.exec(part)?.[1];
  if (key !== undefined) {
    table.key = key.split(', ');
    return;
  }
  const [, name = '', type = '', rest = ''] = present(COLUMN.exec(part), `a column: ${part}`);
  table.columns.set(name, { type, rest });
  if (rest.includes('PRIMARY KEY')) table.key = [name];
}

/**
 * A row for each column (its number, its type), and one for each index (the numbers of its columns, of which
 * so many are its key if the store may rely on it as on a primary key).
 */
const CATALOG = `SELECT c.relname, a.attname, a.attnum::text, format_type(a.atttypid, NULL),
    NULL::boolean, NULL::integer
  FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE n.nspname = '${SCHEMA}' AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT c.relname, i.relname, x.indkey::text, NULL, x.indisvalid,
    CASE WHEN x.indisunique AND x.indimmediate AND x.indpred IS NULL THEN x.indnkeyatts::integer END
  FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
    JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
  WHERE n.nspname = '${SCHEMA}' AND c.relkind IN ('r', 'p')`;

/** The types that the catalog gives another name than the statements. */
const CATALOG_TYPES: ReadonlyMap<string, string> = new Map([
  ['timestamptz', 'timestamp with time zone'],
]);

class Catalog {
  readonly tables = new Map<string, Map<string, { readonly type: string; readonly at: string }>>();
  /** By name: whether it is valid. */
  readonly indexes = new Map<string, boolean>();
  readonly #keys: { readonly table: string; readonly columns: readonly string[] }[] = [];

  constructor(rows: readonly Row[]) {
    for (const [relation, item, at, type, isValid, keyColumns] of rows) {
      const [table, name] = [String(relation), String(item)];
      if (type !== null) {
        const columns = this.tables.get(table) ?? new Map<string, { type: string; at: string }>();
        this.tables.set(table, columns.set(name, { type: String(type), at: String(at) }));
        continue;
      }
      this.indexes.set(`${table}.${name}`, isValid === true);
      if (isValid !== true || keyColumns === null) continue;
      const columns = (String(at).match(/\d+/g) ?? []).slice(0, Number(keyColumns));
      this.#keys.push({ table, columns });
    }
  }

  hasKey(table: string, key: readonly string[]): boolean {
    const places = key.map((column) => this.tables.get(table)?.get(column)?.at);
    return this.#keys.some((each) => {
      return each.table === table && each.columns.join() === places.join();
    });
  }
}

/**
 * What the store lacks; nothing, if there is none yet, if a program that is too new made it, or if this
 * engine does not tell. The connection is in no transaction: an error here would end it.
 * @throws ERR_TITANIC_VERSION for tables of a development version
 */
export async function lacksOf(connection: Connection): Promise<Lacks> {
  // Before the catalog: a broker that upgrades the tables meanwhile only adds to them.
  const format = await formatOf(connection);
  if (format !== null && format > NEWEST_READABLE) return NOTHING;
  const catalog = new Catalog(await optional(connection, CATALOG));
  const { tables, indexes } = needsOf(format ?? FORMAT);
  const found = [...tables.keys()].filter((table) => catalog.tables.has(table));
  if (found.length === 0 || (format === null && found.join() === 'meta')) return NOTHING;
  const parts = [...tables].flatMap(([name, table]) => lacksOfTable(catalog, name, table));
  // A newer program may have put other indexes in their place.
  if (format !== null && format > FORMAT) return { parts, indexes: [] };
  const missing: MissingIndex[] = [];
  for (const [name, { table, statement }] of indexes) {
    const isValid = catalog.indexes.get(`${table}.${name}`);
    if (isValid === true || !catalog.tables.has(table)) continue;
    const [is, sql] =
      isValid === undefined
        ? ['missing', statement]
        : ['invalid', `DROP INDEX ${SCHEMA}.${name}; ${statement}`];
    missing.push({ text: `the index ${SCHEMA}.${name} is ${is}`, sql });
  }
  return { parts, indexes: missing };
}

/** `null`: none is told. @throws ERR_TITANIC_VERSION */
async function formatOf(connection: Connection): Promise<number | null> {
  const [found] = await connection.ask(`SELECT attname FROM pg_attribute
    WHERE attrelid = to_regclass('${SCHEMA}.meta') AND attname IN ('format', 'version')
    ORDER BY attname`);
  if (found === undefined) return null;
  const column = String(found[0]);
  const [row] = await connection.ask(`SELECT ${column} FROM ${SCHEMA}.meta`);
  const format = row === undefined ? 0 : (row[0] as number);
  if (column === 'format') return format;
  const text = `the schema ${SCHEMA} has tables of format ${format} of a development version, which was never released: go on with the version that wrote them, or start with an empty store: \`ALTER SCHEMA ${SCHEMA} RENAME TO ${SCHEMA}_${format}\`, which keeps them, and then \`majordomo serve --new-store\``;
  throw new MajordomoError('ERR_TITANIC_VERSION', text, { details: { format } });
}

function lacksOfTable(catalog: Catalog, name: string, { columns, key }: Table): Lack[] {
  const table = `${SCHEMA}.${name}`;
  const found = catalog.tables.get(name);
  if (found === undefined) {
    return [{ text: `the table ${table} is missing`, sql: null, isLost: true }];
  }
  const lacks: Lack[] = [];
  for (const [column, { type, rest }] of columns) {
    const is = found.get(column)?.type;
    if (is === undefined) {
      // Without a default it has no value for the rows that are there.
      const isMade = !/NOT NULL|PRIMARY KEY/.test(rest) || rest.includes('DEFAULT');
      const sql = `ALTER TABLE ${table} ADD COLUMN ${column} ${type}${rest}`;
      const text = `the column ${table}.${column} is missing`;
      lacks.push({ text, sql: isMade ? sql : null, isLost: true });
    } else if (!isOfType(is, type)) {
      const sql = `ALTER TABLE ${table} ALTER COLUMN ${column} TYPE ${type} USING ${column}::${type}`;
      const text = `the column ${table}.${column} has the type ${is} instead of ${type}`;
      lacks.push({ text, sql, isLost: false });
    }
  }
  if (!catalog.hasKey(name, key)) {
    const columnsOfKey = `(${key.join(', ')})`;
    const text = `the table ${table} has no primary key ${columnsOfKey}`;
    lacks.push({
      text,
      sql: `ALTER TABLE ${table} ADD PRIMARY KEY ${columnsOfKey}`,
      isLost: false,
    });
  }
  return lacks;
}

function isOfType(found: string, needed: string): boolean {
  // CockroachDB makes each integer as large.
  if (needed === 'integer' && found === 'bigint') return true;
  return found === (CATALOG_TYPES.get(needed) ?? needed);
}

/** `null`: the store works without what it lacks. */
export function damageOf({ parts, indexes }: Lacks): MajordomoError | null {
  if (parts.length === 0) return null;
  const all = [...parts, ...indexes];
  const statements = all.map(({ sql }) => sql);
  const sql = statements.includes(null) ? null : statements.join('; ');
  const isLost = parts.some((part) => part.isLost);
  const instead = sql === null ? '' : `, or go on without what was there: ${sql}`;
  const help = sql === null || isLost ? `restore the database from a backup${instead}` : sql;
  const what = all.map(({ text }) => text).join(', ');
  const text = `the schema ${SCHEMA} is damaged: ${what}: ${help}`;
  return new MajordomoError('ERR_TITANIC_DISK', text);
}

/**
 * @returns the indexes that are missing
 * @throws ERR_TITANIC_DISK if the store does not work without what is missing; ERR_TITANIC_VERSION for
 * tables of a development version
 */
export async function refuseDamaged(connection: Connection): Promise<readonly MissingIndex[]> {
  const lacks = await lacksOf(connection);
  const damage = damageOf(lacks);
  if (damage !== null) throw damage;
  return lacks.indexes;
}
