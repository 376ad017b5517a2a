/** Retries the dead requests of a service. More than one view offers it. */
import type { BulkResult } from '../admin/api/stored-answers.js';
import { askPerson, order, toast } from './dialogs.js';
import { el } from './dom.js';
import { count } from './format.js';

/**
 * Retries all dead requests of one service after a confirmation, in as many calls as it takes.
 * @param age which of them, in words; `null`: all
 */
export async function retryDead(
  service: string,
  older: { readonly olderThanMs?: number },
  age: string | null,
  changed: () => Promise<void>,
): Promise<void> {
  const isSure = await askPerson({
    title: 'Retry all dead requests?',
    body: [
      el(
        'p',
        {},
        'Every dead request of ',
        el('strong', { class: 'name' }, service),
        age === null ? '' : `, ${age},`,
        ' becomes pending again, with its attempt count reset.',
      ),
    ],
    confirm: 'Retry all',
  });
  if (!isSure) return;
  let done = 0;
  for (;;) {
    const result = await order<BulkResult>('/api/v1/titanic/retry', { service, ...older });
    if (result === null) return;
    done += result.count;
    if (!result.more || result.count === 0) break;
    toast(`${count(done)} so far`, 'good');
  }
  toast(
    done === 1 ? '1 request is pending again' : `${count(done)} requests are pending again`,
    'good',
  );
  await changed();
}
