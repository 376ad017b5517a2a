/**
 * A process that attacks a broker: `node attacking.js NAME TARGET ADDRESS COUNT [SERVER_KEY [ENDPOINT]]`,
 * forked by `Attacker`. It reports `prepared`, waits for the order to begin, and reports `begun`;
 * when told to end, it reports how much it sent.
 */
import { type Attack, type AttackName, ATTACKS, Site } from './attacks.js';

const [, , name = '', target = '', address = '', count = '1', serverKey = '', endpoint = ''] =
  process.argv;
const site = new Site(target, address, { count: Number(count), serverKey, endpoint });
const prepare: Attack = ATTACKS[name as AttackName];
const begin = await prepare(site);

const attack = async (): Promise<void> => {
  await begin();
  process.send?.('begun');
};
const end = (): void => {
  process.send?.({ sent: site.sent }, () => {
    process.exit();
  });
};
process.on('message', (word) => {
  if (word === 'end') end();
  else void attack();
});
// The parent has gone.
process.on('disconnect', () => {
  process.exit();
});
process.send?.('prepared');
