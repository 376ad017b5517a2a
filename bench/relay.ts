/** Passes bytes on from one socket file to another: the least that a process of Node.js between two others costs. */
import { connect, createServer } from 'node:net';

const [, , from = '', to = ''] = process.argv;

createServer((near) => {
  const far = connect(to);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('data', (bytes) => void other.write(bytes));
    one.on('error', () => other.destroy()).on('close', () => other.destroy());
  }
}).listen(from, () => process.stdout.write('listening\n'));
