/**
 * A test program: runs command lines one after the other, each with the command's own `main`, and
 * prints how each ended. For commands that end by themselves and read nothing: starting a process
 * for each would take most of the time. It has them as an argument, or reads one a line.
 */
import { createInterface } from 'node:readline';

import { main } from '../../src/cli/main.js';
import type { Said } from './child.js';

// Each of them listens for signals.
for (const each of [process, process.stdout, process.stderr]) each.setMaxListeners(0);
const [, , given] = process.argv;
if (given === undefined) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await said(JSON.parse(line) as string[]))}\n`);
  }
} else {
  const ended: Said[] = [];
  for (const line of JSON.parse(given) as string[][]) ended.push(await said(line));
  process.stdout.write(JSON.stringify(ended));
}

async function said(line: readonly string[]): Promise<Said> {
  const all = { stdout: '', stderr: '' };
  const restore = [
    captured('stdout', (text) => (all.stdout += text)),
    captured('stderr', (text) => (all.stderr += text)),
  ];
  const status = await main(line);
  for (const each of restore) each();
  return { status, ...all };
}

/** Captures what is written there. Returns a function that stops this. */
function captured(name: 'stdout' | 'stderr', take: (text: string) => void): () => void {
  const stream = process[name];
  const write = stream.write.bind(stream);
  stream.write = (chunk: Uint8Array | string) => {
    take(Buffer.from(chunk as string).toString());
    return true;
  };
  return () => {
    stream.write = write;
  };
}
