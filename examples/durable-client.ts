/**
 * Stores a request on the broker's disk, and fetches the reply later:
 *
 *   node durable-client.js enqueue [ENDPOINT] [TEXT]  prints a uuid and exits
 *   node durable-client.js result [ENDPOINT] UUID     prints the reply, even after days or crashes
 *
 * The idempotency key makes it safe to run `enqueue` again after an error: each order is stored once.
 */
import { Client, isMajordomoError } from 'majordomo-sdk';

const [, , what = 'enqueue', endpoint = 'tcp://127.0.0.1:5555', argument = 'hello'] = process.argv;

const client = new Client({ endpoints: [endpoint] });
try {
  if (what === 'enqueue') {
    const job = await client.enqueue('echo', argument, {
      idempotencyKey: `order ${argument}`,
      maxAttempts: 20,
      backoff: { baseMs: 1000, maxMs: 60_000 },
    });
    console.log(job.uuid);
  } else {
    const job = client.job(argument);
    // What the worker says while it works, if it sends parts.
    for await (const part of job.progress({ timeoutMs: 20_000 })) console.error(part.text());
    const reply = await job.result({ timeoutMs: 20_000 });
    console.log(reply.text());
    // The reply has arrived, so the broker need not keep it any longer.
    await job.close();
  }
} catch (error) {
  if (!isMajordomoError(error, 'ERR_TITANIC_UNKNOWN')) throw error;
  console.error('unknown: closed, expired, or never stored');
  process.exitCode = 1;
} finally {
  await client.close();
}
