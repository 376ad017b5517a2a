/** The program of the thread of a shard. An ES module also in the package: handlers may be either kind. */
import { runShard } from './shard.js';

await runShard((url) => import(url));
