/** `majordomo acl`: rights and refusals. */
import type { Command } from 'commander';

import { defineAclCheck } from './acl-check.js';
import { defineAclLog } from './acl-log.js';
import { addSubcommand, type Done } from './options.js';

export function defineAcl(command: Command, done: Done): void {
  const log = 'list recent refusals and their reasons';
  defineAclLog(addSubcommand(command, 'log', log), done);
  const check = 'show what a key may do with a service, and which rule decides';
  defineAclCheck(addSubcommand(command, 'check', check), done);
}
