/**
 * For which services a key or a listener may be used, as it is written: `client` and `worker` with
 * globs, or the short form of both, `allow` with `services` (D72).
 */
import { ROLES, type Role } from './config.js';

/** Every service. */
const ALL: readonly string[] = ['*'];
/** Globs in one list. */
export const GLOBS_MAX = 1000;
export const GLOB_CHARACTERS_MAX = 255;

/** What was written; a field that is undefined was not. */
export interface WrittenGrants {
  readonly allow?: readonly string[] | undefined;
  readonly services?: readonly string[] | undefined;
  readonly client?: readonly string[] | undefined;
  readonly worker?: readonly string[] | undefined;
}

/** Globs over names of services, by role; none: nothing. */
export type Grants = Readonly<Record<Role, readonly string[]>>;

/** What is granted: everything if nothing is named, else only what is named. */
export function grantsOf(written: WrittenGrants): Grants {
  const { allow, services = ALL } = written;
  const namesNone = ROLES.every((role) => written[role] === undefined) && allow === undefined;
  const granted = (role: Role): readonly string[] => {
    if (written[role] !== undefined) return written[role];
    return namesNone || allow?.includes(role) === true ? services : [];
  };
  return { client: granted('client'), worker: granted('worker') };
}

/** The roles that are given in both forms: which of the two holds would be a guess. */
export function givenTwice({ allow, ...long }: WrittenGrants): readonly Role[] {
  return ROLES.filter((role) => long[role] !== undefined && allow?.includes(role) === true);
}

/** What is wrong where a role is given in both forms. */
export function twiceMessage(role: Role): string {
  return `is also in allow: remove ${role} from allow, or use only allow and services`;
}
