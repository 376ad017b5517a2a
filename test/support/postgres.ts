/** PostgreSQL for the cases of a test. */
import { Cluster } from './postgres-cluster.js';
import { itWithTool, toolAvailable } from './tools.js';

const TOOL = 'postgresql, 15 or newer';

/** As Jest's `describe`, for cases that need PostgreSQL. */
export function describeWithPostgres(title: string, cases: () => void): void {
  if (toolAvailable(TOOL)) describe(title, cases);
  else itWithTool(TOOL, title, () => undefined);
}

/** One cluster for the cases of a file, made when the first of them asks for it. */
export function sharedCluster(): () => Promise<Cluster> {
  let made: Promise<Cluster> | null = null;
  afterAll(async () => {
    await (await made)?.remove();
  });
  return () => (made ??= Cluster.make());
}
