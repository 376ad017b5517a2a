import { EXIT } from './core/exit.js';
import { atLeast, leastNode } from './core/version.js';

// better-sqlite3 ends an older Node with a segmentation fault.
if (atLeast(process.versions.node, leastNode())) {
  void run();
} else {
  process.stderr.write(
    `majordomo: Node.js ${process.version} is too old: install ${leastNode()} or newer\n`,
  );
  process.exitCode = EXIT.config;
}

async function run(): Promise<void> {
  const { main } = await import('./cli/main.js');
  const { PROGRAM } = await import('./extensions/cli-commands.js');
  process.exitCode = await main(process.argv.slice(2), PROGRAM);
}
