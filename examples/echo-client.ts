/** Sends one request to the service `echo`: node echo-client.js [ENDPOINT] [TEXT] */
import { connect, isMajordomoError } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';
const text = process.argv[3] ?? 'hello';

// `using` closes the client at the end of the block. (TypeScript translates it for Node 22.)
await using client = connect(endpoint, { timeoutMs: 10_000 });
try {
  const reply = await client.request('echo', text);
  console.log(reply.text());
} catch (error) {
  if (!isMajordomoError(error, 'ERR_MDP_UNREACHABLE')) throw error;
  console.error(`no broker at ${endpoint}`);
  process.exitCode = 1;
}
