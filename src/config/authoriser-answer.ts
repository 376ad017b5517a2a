/** The question to a service that authorises keys, and its answer (docs/operating.md). */
import { isUtf8 } from 'node:buffer';

import { TOKEN_PREFIX } from './http-access.js';
import { z } from 'zod';

import { GLOB_CHARACTERS_MAX, GLOBS_MAX } from './grants.js';
import { NAME_PATTERN } from './kinds.js';
import { isGlob } from '../core/glob.js';
import { encodeZ85 } from '../core/z85.js';

/** How long an answer without a time holds. */
const TTL_MS = 60_000;
/** A client that is not admitted yet tries again within this time: see `Authoriser`. */
const TTL_MS_MIN = 10_000;
const TTL_MS_MAX = 86_400_000;

export type KeyAnswer =
  | {
      readonly kind: 'allowed';
      readonly name: string;
      readonly client: readonly string[];
      readonly worker: readonly string[];
      readonly quota: string | null;
      readonly ttlMs: number;
    }
  | { readonly kind: 'refused'; readonly ttlMs: number }
  /** The answer is not usable. */
  | { readonly kind: 'unusable'; readonly why: string };

const ttlMs = z.int().min(TTL_MS_MIN).max(TTL_MS_MAX).default(TTL_MS);
const globs = z
  .array(z.string().max(GLOB_CHARACTERS_MAX).refine(isGlob, 'not a service name or pattern'))
  .max(GLOBS_MAX)
  .default([]);
/** An unknown field is an error: a misspelt one must not grant or refuse anything. */
const ALLOWED = z.strictObject({
  name: z
    .string()
    .regex(NAME_PATTERN, 'expected 1 to 64 printable characters without spaces')
    .refine(
      (name) => !name.startsWith(TOKEN_PREFIX),
      `names with ${TOKEN_PREFIX} belong to http.tokens`,
    ),
  client: globs,
  worker: globs,
  quota: z.string().regex(NAME_PATTERN).nullable().default(null),
  ttlMs,
});
const REFUSED = z.strictObject({ refused: z.literal(true), ttlMs });

/** The body of a question: one frame. */
export function question(publicKey: Buffer, address: string): Buffer {
  return Buffer.from(JSON.stringify({ publicKey: encodeZ85(publicKey), address }));
}

/** @param body the frames of the reply: one */
export function readAnswer(body: readonly Buffer[]): KeyAnswer {
  const [frame] = body;
  if (frame === undefined || body.length > 1) return unusable('not one frame');
  if (!isUtf8(frame)) return unusable('not UTF-8');
  let said: unknown;
  try {
    said = JSON.parse(frame.toString('utf8'));
  } catch {
    return unusable('not JSON');
  }
  const isRefusal = typeof said === 'object' && said !== null && 'refused' in said;
  const read = isRefusal ? REFUSED.safeParse(said) : ALLOWED.safeParse(said);
  if (!read.success) {
    const [issue] = read.error.issues;
    const path = issue?.path.join('.') ?? '';
    return unusable(`${path === '' ? '' : `${path}: `}${issue?.message ?? 'malformed'}`);
  }
  if ('refused' in read.data) return { kind: 'refused', ttlMs: read.data.ttlMs };
  return { kind: 'allowed', ...read.data };
}

function unusable(why: string): KeyAnswer {
  return { kind: 'unusable', why };
}
