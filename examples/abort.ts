/**
 * Gives a request up by an AbortSignal: node abort.js [ENDPOINT]
 *
 * Nobody serves `nobody`: the request would wait in the broker, and be sent again after each
 * time-out. The signal ends that when the caller has lost interest.
 */
import { Client, codeOf } from 'majordomo-broker/client';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';

const client = new Client({ endpoints: [endpoint], timeoutMs: 60_000 });
try {
  await client.request('nobody', 'hello?', { signal: AbortSignal.timeout(200) });
} catch (error) {
  console.log(codeOf(error));
}
await client.close();
