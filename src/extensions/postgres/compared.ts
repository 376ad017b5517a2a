/** Whether a store file and a database hold the same requests, on the same steps. */
import { createHash, type Hash } from 'node:crypto';

import { TITANIC_SCHEDULE } from '../../wire/tsp.js';
import type { SourceFile, Standing } from '../../store/sqlite/file/source-file.js';
import type { Connection } from './connection.js';
import { DEAD, PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { setWholeTables } from './server.js';

const PAGE_ROWS = 5000;

/** In the order of `SourceFile.standings`. */
const STANDINGS = {
  name: 'standings',
  text: `SELECT r.id, r.state, r.generation, r.attempts, r.attempts_ever, r.max_attempts, r.seq,
      r.priority, r.shared::integer, r.accepted_at, r.not_before, r.expires_at, r.body_bytes,
      length(b.frames), coalesce(length(e.frames), -1), coalesce(e.at, -1)
    FROM ${SCHEMA}.request r
      LEFT JOIN ${SCHEMA}.body b ON b.id = r.id AND b.kind = ${REQUEST_BODY}
      LEFT JOIN ${SCHEMA}.body e ON e.id = r.id AND e.kind = r.state AND r.state > ${PENDING}
    WHERE r.id > $1::uuid ORDER BY r.id LIMIT ${PAGE_ROWS}`,
};
const COUNTS = `SELECT (SELECT count(*) FROM ${SCHEMA}.key), (SELECT count(*) FROM ${SCHEMA}.attempt),
  (SELECT count(*) FROM ${SCHEMA}.request
    WHERE state = ${PENDING} AND service = '${TITANIC_SCHEDULE}'::bytea)`;

export interface Content {
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
  readonly keys: number;
  readonly attempts: number;
  /** Over the id and the step of each request, in the order of their ids. */
  readonly digest: string;
}

class Counting {
  readonly #hash: Hash = createHash('sha256');
  readonly #states = new Map<number, number>();
  count = 0;

  add({ id, numbers }: Standing): void {
    this.#hash.update(id).update(numbers.join());
    const [state = 0] = numbers;
    this.#states.set(state, (this.#states.get(state) ?? 0) + 1);
    this.count++;
  }

  content(keys: number, attempts: number): Content {
    const of = (state: number): number => this.#states.get(state) ?? 0;
    const states = { pending: of(PENDING), replied: of(REPLIED), dead: of(DEAD) };
    return { ...states, keys, attempts, digest: this.#hash.digest('hex') };
  }
}

export function contentOfFile(file: SourceFile, onProgress: (done: number) => void): Content {
  const counting = new Counting();
  for (const standing of file.standings()) {
    counting.add(standing);
    if (counting.count % PAGE_ROWS === 0) onProgress(counting.count);
  }
  return counting.content(file.keys, file.attempts);
}

export async function contentOfDatabase(
  connection: Connection,
  onProgress: (done: number) => void,
): Promise<Content & { readonly schedules: number }> {
  const counting = new Counting();
  let after: Buffer = Buffer.alloc(16);
  for (;;) {
    const rows = await connection.run(STANDINGS, [after]);
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last[0] as Buffer;
    for (const [id, ...numbers] of rows) {
      counting.add({ id: id as Buffer, numbers: numbers as number[] });
    }
    onProgress(counting.count);
  }
  await connection.ask('BEGIN');
  await setWholeTables(connection, 'on');
  const [row] = await connection.ask(COUNTS);
  await connection.ask('COMMIT');
  const [keys = 0, attempts = 0, schedules = 0] = (row ?? []) as number[];
  return { ...counting.content(keys, attempts), schedules };
}

/** What differs, in words; `null`: nothing. */
export function differenceOf(file: Content, database: Content): string | null {
  const differing = (['pending', 'replied', 'dead', 'keys', 'attempts'] as const)
    .filter((name) => file[name] !== database[name])
    .map((name) => `${name}: ${file[name]} in the file, ${database[name]} in the database`);
  if (differing.length > 0) return differing.join('; ');
  return file.digest === database.digest ? null : 'the counts agree, ids or steps do not';
}
