/** `majordomo acl`: who may do what, and who was refused. */
import type { Command } from 'commander';

import { defineAclCheck } from './acl-check.js';
import { defineAclLog } from './acl-log.js';
import type { Done } from './options.js';

export function defineAcl(command: Command, done: Done): void {
  const log = 'who was refused lately, and why';
  defineAclLog(command.command('log').summary(log).description(log), done);
  const check = 'what a key may do with a service, and by which rule';
  defineAclCheck(command.command('check').summary(check).description(check), done);
}
