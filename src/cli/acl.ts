/** `majordomo acl`: rights and refusals. */
import type { Command } from 'commander';

import { defineAclCheck } from './acl-check.js';
import { defineAclLog } from './acl-log.js';
import type { Done } from './options.js';

export function defineAcl(command: Command, done: Done): void {
  const log = 'list recent refusals and their reasons';
  defineAclLog(command.command('log').summary(log).description(log), done);
  const check = 'show what a key may do with a service, and which rule decides';
  defineAclCheck(command.command('check').summary(check).description(check), done);
}
