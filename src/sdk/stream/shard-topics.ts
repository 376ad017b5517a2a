import { wrong } from '../errors.js';
import { topicList } from './topics.js';

const SHARDS_MAX = 256;

/**
 * The topics of each shard. Disjoint as prefixes: otherwise two shards would get the same message.
 * @throws ERR_MDP_OPTION
 */
export function shardTopics(given: unknown): readonly (readonly Buffer[])[] {
  if (!Array.isArray(given) || given.length === 0 || given.length > SHARDS_MAX) {
    throw wrong('shards', `must be 1 to ${SHARDS_MAX} lists of topics`);
  }
  const shards = given.map((topics: unknown, shard) => {
    const option = `shards[${shard}]`;
    if (!Array.isArray(topics)) throw wrong(option, 'must be a list of topics');
    return topicList(topics, option);
  });
  checkDisjoint(shards);
  return shards;
}

/** In order of their bytes, a topic comes right before those that begin with it. */
function checkDisjoint(shards: readonly (readonly Buffer[])[]): void {
  const all = shards.flatMap((topics, shard) => topics.map((topic) => ({ topic, shard })));
  all.sort((a, b) => Buffer.compare(a.topic, b.topic));
  /** Topics that the present one begins with, shortest first. */
  const prefixes: typeof all = [];
  for (const each of all) {
    const { topic, shard } = each;
    while (prefixes.length > 0 && !startsWith(topic, prefixes.at(-1)?.topic)) prefixes.pop();
    const other = prefixes.find((one) => one.shard !== shard);
    if (other !== undefined) {
      const [longer, shorter] = [shown(topic), shown(other.topic)];
      throw wrong(
        `shards[${shard}]`,
        `has ${longer}, which begins with ${shorter} of shards[${other.shard}]`,
      );
    }
    prefixes.push(each);
  }
}

function startsWith(topic: Buffer, prefix: Buffer | undefined): boolean {
  return prefix === undefined || topic.subarray(0, prefix.length).equals(prefix);
}

function shown(topic: Buffer): string {
  return JSON.stringify(topic.toString('utf8'));
}
