/**
 * The services for which a key or a listener may be used, as written: `client` and `worker` with
 * globs, or their short form, `allow` with `services` (D72).
 */
import { z } from 'zod';

import { isGlob } from '../core/glob.js';
import { MDP_ROLES, type MdpRole } from './entries.js';
import { expected } from './kinds.js';

/** Every service. */
const ALL: readonly string[] = ['*'];
/** Globs in one list. */
export const GLOBS_MAX = 1000;
export const GLOB_CHARACTERS_MAX = 255;

const GLOBS = `a list of at most ${GLOBS_MAX} service names, * and ? allowed`;

/** A list of globs, as written. @param glob what each of them is */
export function globs({
  glob = `a service name, 1 to ${GLOB_CHARACTERS_MAX} characters`,
  isSecret = false,
} = {}): z.ZodArray<z.ZodString> {
  const value = `${glob}, * and ? allowed (escape bytes as %2A, and % as %25)`;
  const one = z.string({ error: expected(value, { isSecret }) }).max(GLOB_CHARACTERS_MAX);
  return z.array(one.refine(isGlob), { error: expected(GLOBS, { isSecret }) }).max(GLOBS_MAX);
}

/** The fields as written; undefined: absent. */
interface WrittenGrants {
  readonly allow?: readonly string[] | undefined;
  readonly services?: readonly string[] | undefined;
  readonly client?: readonly string[] | undefined;
  readonly worker?: readonly string[] | undefined;
}

/** Globs over service names, by role; empty: none. */
export type Grants = Readonly<Record<MdpRole, readonly string[]>>;

/** What the fields grant: everything if all are absent, else only what they name. */
export function grantsOf(written: WrittenGrants): Grants {
  const { allow, services = ALL } = written;
  const namesNone = MDP_ROLES.every((role) => written[role] === undefined) && allow === undefined;
  const granted = (role: MdpRole): readonly string[] => {
    if (written[role] !== undefined) return written[role];
    return namesNone || allow?.includes(role) === true ? services : [];
  };
  return { client: granted('client'), worker: granted('worker') };
}

/** Roles given in both forms: the broker would have to guess which one holds. */
export function givenTwice({ allow, ...long }: WrittenGrants): readonly MdpRole[] {
  return MDP_ROLES.filter((role) => long[role] !== undefined && allow?.includes(role) === true);
}

/** The error for a role given in both forms. */
export function twiceMessage(role: MdpRole): string {
  return `is also in allow: remove ${role} from allow, or use only allow and services`;
}
