/** What is true of the records of each kind, in both engines: for `verify`. */
import { KNOWN_KINDS, KEPT_KINDS, numberOfKind } from './record-kind.js';

const REQUEST = numberOfKind('request');
/** The kinds of what operators set, which is never due. */
const NEVER_DUE = [numberOfKind('pause'), numberOfKind('limit')].join(', ');
const WEBHOOK = numberOfKind('webhook');
const PENDING = 1;

/** Where an engine has records, and how it names them. */
interface Engine {
  /** The table. */
  readonly table: string;
  /** A condition: the record `p` is the one that `r` names as its partner. */
  readonly isPartner: string;
  /** A condition: `p` names `r` as its partner. */
  readonly namesBack: string;
  /** A partner that is none. */
  readonly none: string;
}

/**
 * Inconsistencies: a text, and a condition on the record `r` that has it. The partner of a record may be gone, and what
 * a later version has made is not judged.
 */
export function kindInvariants({
  table,
  isPartner,
  namesBack,
  none,
}: Engine): readonly (readonly [problem: string, where: string])[] {
  return [
    ['webhooks that tell of no request', `r.kind = ${WEBHOOK} AND r.partner = ${none}`],
    [
      'requests and webhooks whose partner does not name them',
      `r.kind IN (${REQUEST}, ${WEBHOOK}) AND r.partner <> ${none} AND EXISTS (
        SELECT 1 FROM ${table} p WHERE ${isPartner} AND p.kind IN (${KNOWN_KINDS})
          AND NOT (${namesBack} AND p.kind = ${REQUEST} + ${WEBHOOK} - r.kind))`,
    ],
    [
      'webhooks that tell of the same request as another one',
      `r.kind = ${WEBHOOK} AND r.partner IN (SELECT partner FROM ${table}
        WHERE kind = ${WEBHOOK} AND partner <> ${none} GROUP BY partner HAVING count(*) > 1)`,
    ],
    [
      'records not sent to workers, but not pending',
      `r.kind IN (${KEPT_KINDS}) AND r.state <> ${PENDING}`,
    ],
    [
      'records not sent to workers, but with a partner',
      `r.kind IN (${KEPT_KINDS}) AND r.partner <> ${none}`,
    ],
    [
      'records that are no requests, but have an idempotency key',
      `r.kind IN (${KEPT_KINDS}, ${WEBHOOK}) AND r.key IS NOT NULL`,
    ],
    [
      'pauses and limits that are due at a time',
      `r.kind IN (${NEVER_DUE}) AND (r.not_before < r.expires_at OR r.attempts_ever > 0)`,
    ],
  ];
}
