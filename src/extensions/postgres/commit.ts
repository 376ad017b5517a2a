/** A batch as one transaction. */
import type { Change } from '../../store/store.js';
import { Batch, type Order, type Row, type Sending } from './changes.js';
import type { Connection } from './connection.js';
import { type FenceValue, fenceValue } from './session.js';

export async function commit(
  connection: Connection,
  fence: FenceValue,
  changes: readonly Change[],
  sending: Sending,
): Promise<Batch | null> {
  const batch = new Batch(changes, fenceValue(fence.session, fence.token), sending);
  await transact(connection, batch.orders());
  return batch.isFenced ? batch : null;
}

/** Sends all at once, without waiting for the first answer; as one transaction. */
async function transact(connection: Connection, orders: readonly Order[]): Promise<void> {
  const isTransaction = orders.length > 1;
  const sent: Promise<Row[]>[] = [];
  if (isTransaction) sent.push(connection.ask('BEGIN'));
  for (const { statement, values } of orders) sent.push(connection.run(statement, values));
  if (isTransaction) sent.push(connection.ask('COMMIT'));
  const rows = (await Promise.allSettled(sent)).map((answer) => {
    // The first error is the cause of the others.
    if (answer.status === 'rejected') throw answer.reason;
    return answer.value;
  });
  if (connection.takeDoubt()) {
    connection.destroy();
    throw new Error('the wait for the standby was cancelled');
  }
  for (const [at, order] of orders.entries()) order.settle(rows[isTransaction ? at + 1 : at] ?? []);
}
