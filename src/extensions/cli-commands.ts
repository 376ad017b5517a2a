/**
 * What the command line knows of the extensions before it loads them. To leave one out, delete its folder and
 * its lines here and in list.ts.
 */
import type { Program } from '../cli/program.js';
import { events } from './events/cli/commands.js';
import { fleet } from './fleet/cli/commands.js';
import { map } from './map/cli/commands.js';
import { postgres } from './postgres/cli/commands.js';

export const PROGRAM: Program = {
  commands: [events, postgres, map, fleet],
  extensions: async () => (await import('./list.js')).extensions(),
};
