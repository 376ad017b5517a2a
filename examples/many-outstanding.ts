/**
 * Keeps many requests outstanding over one connection: node many-outstanding.js [ENDPOINT] [COUNT]
 *
 * Each `request` returns a promise, and answers arrive in any order. A window limits how many requests
 * are outstanding at a time, so that a long list does not fill the broker with requests.
 */
import { Client } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';
const count = Number(process.argv[3] ?? '10000');
const WINDOW = 500;

const client = new Client({ endpoints: [endpoint], timeoutMs: 10_000 });
let next = 0;
let right = 0;

async function lane(): Promise<void> {
  while (next < count) {
    const question = `request ${next++}`;
    const reply = await client.request('echo', question);
    if (reply.text() === question) right++;
  }
}

await Promise.all(Array.from({ length: WINDOW }, lane));
console.log(`${right} of ${count} answered`);
await client.close();
