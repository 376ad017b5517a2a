/** Reads a streamed answer part by part: node streaming-client.js [ENDPOINT] [FROM] */
import { Client } from 'majordomo-sdk';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';
const from = process.argv[3] ?? '3';

const client = new Client({ endpoints: [endpoint] });
for await (const part of client.stream('countdown', from)) {
  console.log(part.final ? `${part.text()}!` : part.text());
}
await client.close();
