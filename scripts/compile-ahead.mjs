/**
 * Lets V8 keep what it compiles while a broker starts and a command asks it, beside the modules of the program:
 * `node scripts/compile-ahead.mjs PROGRAM`, with the Node that will run it. scripts/load.cjs loads these files.
 * They are as trusted as the modules: the same folder has both, and a program never writes them itself. Each ends with
 * the CRC-32 of its module's name and of what V8 made.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';
import vm from 'node:vm';
import { crc32 } from 'node:zlib';

/** A build does not wait longer for a broker that does not start. */
const START_MS_MAX = 60_000;

const SELF = fileURLToPath(import.meta.url);

/** Runs in each thread of a program that has this file as `--import`. */
function record() {
  const made = [];
  vm.Script = class extends vm.Script {
    constructor(text, options) {
      super(text, options);
      made.push([options.filename, this]);
    }
  };
  // V8 loads only what was compiled with the flags that it has then.
  v8.setFlagsFromString = () => undefined;
  process.on('exit', () => {
    for (const [filename, script] of made) {
      const data = script.createCachedData();
      const check = Buffer.alloc(4);
      check.writeUInt32LE(crc32(data, crc32(basename(filename))));
      const file = `${filename}.${process.version}-${process.arch}.compiled`;
      writeFileSync(file, Buffer.concat([data, check]));
    }
  });
}

function compile(main) {
  const folder = mkdtempSync(join(tmpdir(), 'majordomo-compile-'));
  const node = ['--import', import.meta.url, main];
  const sets = ['broker.listen=tcp://127.0.0.1:0', 'http.listen=127.0.0.1:0', 'log.format=json'];
  const given = [...sets, `node.dataDir=${join(folder, 'data')}`].flatMap((set) => ['--set', set]);
  const options = { timeout: START_MS_MAX };
  // (At a terminal of its own, the broker would say how to use it, which ends here at once.)
  const broker = spawn(process.execPath, [...node, 'serve', ...given], options);
  let said = '';
  broker.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  broker.on('close', (status) => {
    rmSync(folder, { recursive: true });
    if (status !== 0) process.stderr.write(said);
    process.exitCode = status ?? 1;
  });
  let log = '';
  let isUsed = false;
  broker.stdout.setEncoding('utf8').on('data', (text) => {
    log += text;
    const [, endpoint] = /"broker\.ready","endpoints":\["([^"]+)"/.exec(log) ?? [];
    const [, http] = /"http":"([^"]+)"/.exec(log) ?? [];
    if (endpoint === undefined || http === undefined || isUsed) return;
    isUsed = true;
    const request = ['request', 'mmi.service', 'none', '--endpoint', endpoint];
    spawnSync(process.execPath, [...node, ...request], { ...options, stdio: 'ignore' });
    // What answers over HTTP is loaded with the first connection.
    void fetch(`${http}/metrics`).finally(() => broker.kill());
  });
}

const [, script, program] = process.argv;
if (script === undefined || resolve(script) !== SELF) record();
else if (program === undefined) throw new Error('usage: compile-ahead.mjs PROGRAM');
else compile(resolve(program, 'main.js'));
