/**
 * The tables of a store in PostgreSQL, made and changed by numbered migrations. Additive first: a
 * program still works on tables that the next format has changed, so that brokers are upgraded one
 * after the other.
 *
 * The statements keep to what other engines with PostgreSQL's protocol offer: no triggers, stored
 * procedures or advisory locks. (CockroachDB by default refuses those that change one table in several
 * subqueries.) Text is kept as bytes, because a database may have any encoding.
 */

/** In every name, so that the search path of a role does not matter. */
export const SCHEMA = 'majordomo';

/** States of a request, and kinds of what belongs to one state. */
export const PENDING = 1;
export const REPLIED = 2;
export const DEAD = 3;

/** Kinds of rows in `body`. A reply and a death have the number of the state that they stand for. */
export const REQUEST_BODY = 1;

/**
 * Made before the first migration; its row is the lock under which migrations run. Development
 * versions, from before 0.1.0, had a column `version` instead of `format`, and counted from 1 to 3: the
 * column, not the number, tells their tables from those of a later format.
 */
export const META = `CREATE TABLE IF NOT EXISTS ${SCHEMA}.meta (
  one boolean PRIMARY KEY CHECK (one),
  format integer NOT NULL,
  store_id bytea NOT NULL
)`;

/** The condition of a record that any broker may claim, of a request among them, and of one that waits for its time. */
export const IS_CLAIMABLE = `state = ${PENDING} AND session IS NULL AND NOT delayed AND kind IN (0, 3, 1)`;
export const IS_TURN = `state = ${PENDING} AND session IS NULL AND NOT delayed AND kind = 0`;
export const IS_DELAYED = `state = ${PENDING} AND session IS NULL AND delayed`;
/** The condition of a record that is not sent to workers: each broker knows all of these. */
export const IS_LISTED = `state = ${PENDING} AND kind NOT IN (0, 3)`;

/**
 * Whether a request is of a group, which is all that it has of its own: 1 or 0. An index begins with it, so that one look
 * tells whether any request of a service is.
 */
export function isGrouped(own: string): string {
  return `least(length(${own}), 1)`;
}

/**
 * The condition of a join that looks a row up by an index, for each value of the other side. Once VACUUM has
 * found a table empty, the planner takes all of it to be as cheap as one row, and its plans are kept while
 * the table fills: a join by `=` then reads the whole index for each batch. This one it can only look up.
 */
export function byIndex(column: string, value: string): string {
  return `${column} = ANY (ARRAY[${value}])`;
}

/**
 * Each leads to one format. `request` is narrow: claims and replies rewrite its rows, but never a body.
 *
 * A pending request is claimed by the broker of `session`, or by none (null). `claim` counts its
 * claims. `delayed`: it is not to be claimed before `not_before`; whoever finds that this has passed
 * takes the mark off, so that claims never step over those that wait. `seq` is the time of its
 * acceptance in microseconds of the clock of the database, plus its place in its batch.
 *
 * `broker.era`: the fencing token, see session.ts. `broker.readable`: the newest format on which the
 * program of the session works. `origin`: the store file from which `majordomo migrate` copies, or has copied, what is here;
 * at most one.
 */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE ${SCHEMA}.broker (
      session bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      node bytea NOT NULL,
      home bytea NOT NULL,
      lease_until timestamptz NOT NULL,
      dead boolean NOT NULL,
      era bigint NOT NULL DEFAULT 0,
      readable integer NOT NULL
    )`,
    // What has a fixed width comes first: the server finds it without stepping over the rest.
    `CREATE TABLE ${SCHEMA}.request (
      id uuid PRIMARY KEY,
      seq bigint NOT NULL,
      generation bigint NOT NULL,
      attempts bigint NOT NULL,
      attempts_ever bigint NOT NULL,
      max_attempts bigint NOT NULL,
      accepted_at bigint NOT NULL,
      not_before bigint NOT NULL,
      expires_at bigint NOT NULL,
      body_bytes bigint NOT NULL,
      reply_bytes bigint NOT NULL,
      priority integer NOT NULL,
      state integer NOT NULL,
      kind integer NOT NULL,
      outcome bigint NOT NULL,
      outcome_at bigint NOT NULL,
      claim integer NOT NULL DEFAULT 0,
      shared boolean NOT NULL,
      delayed boolean NOT NULL DEFAULT false,
      session bigint,
      service bytea NOT NULL,
      owner bytea NOT NULL,
      partner bytea NOT NULL,
      own bytea NOT NULL,
      key bytea,
      extra bytea
    ) WITH (fillfactor = 80)`,
    `CREATE INDEX request_claimable ON ${SCHEMA}.request (service, priority DESC, seq)
      WHERE ${IS_CLAIMABLE}`,
    `CREATE INDEX request_delayed ON ${SCHEMA}.request (not_before) WHERE ${IS_DELAYED}`,
    `CREATE INDEX request_claimed ON ${SCHEMA}.request (session) WHERE session IS NOT NULL`,
    `CREATE INDEX request_listed ON ${SCHEMA}.request (seq) WHERE ${IS_LISTED}`,
    // A request that is claimed is expired by the broker that has it.
    `CREATE INDEX request_expiry ON ${SCHEMA}.request (expires_at, id) WHERE session IS NULL`,
    `CREATE INDEX request_dead ON ${SCHEMA}.request (id) WHERE state = ${DEAD}`,
    `CREATE TABLE ${SCHEMA}.body (
      id uuid NOT NULL,
      kind integer NOT NULL,
      frames bytea NOT NULL,
      worker bytea,
      at bigint,
      PRIMARY KEY (id, kind)
    )`,
    `CREATE TABLE ${SCHEMA}.attempt (
      id uuid NOT NULL,
      n bigint NOT NULL,
      worker bytea NOT NULL,
      started_at bigint NOT NULL,
      ended_at bigint NOT NULL,
      reason bytea NOT NULL,
      failure bytea,
      extra bytea,
      PRIMARY KEY (id, n)
    )`,
    `CREATE TABLE ${SCHEMA}.key (
      service bytea NOT NULL,
      key bytea NOT NULL,
      owner bytea NOT NULL,
      id uuid NOT NULL,
      once boolean NOT NULL,
      taken_at bigint NOT NULL,
      until bigint,
      extra bytea,
      PRIMARY KEY (service, key, owner)
    )`,
    `CREATE INDEX key_remembered ON ${SCHEMA}.key (until) WHERE until IS NOT NULL`,
    `CREATE TABLE ${SCHEMA}.origin (
      one boolean PRIMARY KEY CHECK (one),
      file bytea NOT NULL,
      store_id bytea NOT NULL,
      openings bigint NOT NULL,
      after_id uuid,
      finished boolean NOT NULL DEFAULT false
    )`,
  ],
  [
    // The first request of each group: `CLAIM_TURNS`.
    `CREATE INDEX request_turns
      ON ${SCHEMA}.request (service, ${isGrouped('own')}, priority DESC, own, seq) WHERE ${IS_TURN}`,
  ],
];

/** The format that this program makes. */
export const FORMAT: number = MIGRATIONS.length;

/** The newest one on which this program still works. */
export const NEWEST_READABLE: number = FORMAT + 1;
