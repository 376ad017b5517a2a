import { join } from 'node:path';

import type { Config } from '../../config/config.js';
import { messageOf } from '../../core/errors.js';
import { refuseLeftBehind } from '../../store/sqlite/file/left-behind.js';
import { askServer } from './examine.js';
import { NAME, oldestSnapshot, safety, storeFinding } from './findings.js';
import { type Finding, problem } from '../../core/finding.js';
import { examinedOf } from './login.js';

/**
 * The database that keeps durable requests: whether it can be used, and how safe it is.
 * @param file of the configuration
 */
export async function check(config: Config, file: string | null): Promise<readonly Finding[]> {
  return [...(await leftBehind(config, file)), ...(await onServer(config))];
}

async function onServer(config: Config): Promise<readonly Finding[]> {
  try {
    const examined = await examinedOf(config);
    const facts = await askServer(examined);
    const { user } = examined.login.address;
    return [
      storeFinding(facts, examined.name),
      safety(facts),
      oldestSnapshot(facts.snapshots, user),
    ];
  } catch (error) {
    return [problem(NAME, messageOf(error), 'see docs/postgresql.md')];
  }
}

/** Requests in the store file, of which a broker with a database knows nothing. */
async function leftBehind(config: Config, file: string | null): Promise<readonly Finding[]> {
  try {
    refuseLeftBehind(join(config.node.dataDir, config.titanic.file), file);
    return [];
  } catch (error) {
    const remedy = 'see docs/postgresql.md, From a file to a database, and back';
    return [problem('store file', messageOf(error), remedy)];
  }
}
