/**
 * Hands a request over to the broker's disk, and fetches the reply whenever it is there:
 *
 *   node durable-client.js submit [ENDPOINT] [TEXT]   prints a uuid, and ends
 *   node durable-client.js result [ENDPOINT] UUID     prints the reply, also days and crashes later
 *
 * The key makes it safe to run `submit` again after an error: one order is one stored request.
 */
import { Client, codeOf } from 'majordomo-broker/client';

const [, , what = 'submit', endpoint = 'tcp://127.0.0.1:5555', argument = 'hello'] = process.argv;

const client = new Client({ endpoints: [endpoint] });
try {
  if (what === 'submit') {
    const job = await client.submit('echo', argument, { idempotencyKey: `order ${argument}` });
    console.log(job.uuid);
  } else {
    const job = client.job(argument);
    const reply = await job.result({ timeoutMs: 20_000 });
    console.log(reply.text());
    // Now that it is safe here, it may go there.
    await job.close();
  }
} catch (error) {
  if (codeOf(error) !== 'ERR_TITANIC_UNKNOWN') throw error;
  console.error('unknown: closed, expired, or never stored');
  process.exitCode = 1;
} finally {
  await client.close();
}
