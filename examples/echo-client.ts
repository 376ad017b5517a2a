/** Sends one request to the service `echo`: node echo-client.js [ENDPOINT] [TEXT] */
import { Client, codeOf } from 'majordomo-broker/client';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';
const text = process.argv[3] ?? 'hello';

const client = new Client({ endpoints: [endpoint], timeoutMs: 2500, retries: 3 });
try {
  const reply = await client.request('echo', text);
  console.log(reply.text());
} catch (error) {
  if (codeOf(error) !== 'ERR_MDP_UNREACHABLE') throw error;
  console.error(`no broker at ${endpoint}`);
  process.exitCode = 1;
} finally {
  await client.close();
}
