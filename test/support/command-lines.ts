/**
 * A test program: runs command lines one after the other, each with the command's own `main`, and
 * prints how each ended. For commands that end by themselves and read nothing: starting a process
 * for each would take most of the time.
 */
import { main } from '../../src/cli/main.js';

// Each of them listens for signals.
for (const each of [process, process.stdout, process.stderr]) each.setMaxListeners(0);
const lines = JSON.parse(process.argv[2] ?? '[]') as string[][];
const ended = [];
for (const line of lines) {
  const said = { stdout: '', stderr: '' };
  const restore = [
    captured('stdout', (text) => (said.stdout += text)),
    captured('stderr', (text) => (said.stderr += text)),
  ];
  const status = await main(line);
  for (const each of restore) each();
  ended.push({ status, ...said });
}
process.stdout.write(JSON.stringify(ended));

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
