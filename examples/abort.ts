/**
 * Gives up a request with an AbortSignal: node abort.js [ENDPOINT]
 *
 * No worker serves `nobody`: the request would wait in the broker, and the client would send it again
 * after each timeout. The signal ends that when the caller no longer needs the answer.
 */
import { Client, codeOf } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';

const client = new Client({ endpoints: [endpoint], timeoutMs: 60_000 });
try {
  await client.request('nobody', 'hello?', { signal: AbortSignal.timeout(200) });
} catch (error) {
  console.log(codeOf(error));
}
await client.close();
