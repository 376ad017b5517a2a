/**
 * All extensions of this program, in the order in which a node attaches them. To leave one out, delete its
 * folder and its lines here.
 */
import type { Extension } from '../node/extension.js';
import { events } from './events/extension.js';
import { fleet } from './fleet/extension.js';
import { libzmq } from './libzmq/extension.js';
import { map } from './map/extension.js';
import { postgres } from './postgres/extension.js';
import { programs } from './programs/extension.js';

/** For one node: an extension may have state of it. */
export const extensions = (): readonly Extension[] => [
  events,
  postgres,
  map(),
  fleet,
  libzmq,
  programs(),
];
