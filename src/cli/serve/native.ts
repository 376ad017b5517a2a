/** Native modules that do not load: missing, or built for another version of Node.js. */
import { createRequire } from 'node:module';

import type { Config } from '../../config/config.js';
import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { leastNode } from '../../core/version.js';

const require = createRequire(import.meta.url);

/** What to do about a native module that does not load. */
export const REINSTALL = `install Majordomo again, with Node.js ${leastNode()} or newer`;

const NATIVE_MODULES = ['better-sqlite3', 'zeromq'] as const;
type NativeModule = (typeof NATIVE_MODULES)[number];
/** What Node.js reports. */
const NOT_LOADED = /Cannot find|compiled against|ERR_DLOPEN_FAILED/;
/** The last place where better-sqlite3 looks, if it has no binary for this machine. */
const NO_BINARY = /^Cannot find module '.*better_sqlite3\.node'/;

/**
 * Loads those that the node needs, before anything else starts.
 * @throws ERR_NATIVE_MODULE
 */
export async function requireNativeModules({ broker: { listen } }: Config): Promise<void> {
  await load('better-sqlite3', async () => {
    const { default: Database } = await import('better-sqlite3');
    // The binary of the package is loaded by the first use.
    new Database(':memory:').close();
  });
  if (listen.some(({ transport }) => transport === 'libzmq')) await load('zeromq', require);
}

/**
 * Refuses a system on which no broker runs, before anything of it is looked at.
 * @throws ERR_NATIVE_MODULE
 */
export function requireSystem(platform: string, arch: string): void {
  if (platform === 'win32') {
    throw unfit('the broker does not run on Windows: use WSL 2 or a container');
  }
  if (arch === 'arm' || arch === 'ia32') {
    throw unfit(`the broker runs on 64-bit systems only, and this is ${arch}`);
  }
}

function unfit(text: string): MajordomoError {
  return new MajordomoError('ERR_NATIVE_MODULE', text);
}

function glibc(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? 'none';
}

async function load(name: NativeModule, loaded: (name: NativeModule) => unknown): Promise<void> {
  try {
    await loaded(name);
  } catch (error) {
    throw notLoaded(name, error);
  }
}

/** What any error means if a native module did not load; else `null`. */
export function nativeFailure(error: unknown): MajordomoError | null {
  const code = codeOf(error) ?? '';
  if (code === 'ERR_NATIVE_MODULE') return null;
  const text = `${code} ${messageOf(error)}`;
  const name = NATIVE_MODULES.find((each) => text.includes(each));
  return name !== undefined && NOT_LOADED.test(text) ? notLoaded(name, error) : null;
}

/** What the loader says on a system that is older than the binary. */
const OLD_GLIBC = /version `GLIBC_([\d.]+)' not found/;

function notLoaded(name: NativeModule, error: unknown): MajordomoError {
  const [, needed] = OLD_GLIBC.exec(messageOf(error)) ?? [];
  const text =
    needed === undefined
      ? `${name} does not load: ${reasonOf(error)}; ${REINSTALL}`
      : `${name} needs glibc ${needed} or newer, and this system has ${glibc()}: use the container image, or a newer system`;
  return new MajordomoError('ERR_NATIVE_MODULE', text, { cause: error });
}

/** Says the reason in one sentence: such errors list all the places where a file was looked for. */
function reasonOf(error: unknown): string {
  const message = messageOf(error);
  if (NO_BINARY.test(message)) return `it has no binary for ${process.platform} on ${process.arch}`;
  const [first = '', second = ''] = message.split('\n');
  const isCut = first.endsWith('was compiled against a different Node.js version using');
  return (isCut ? `${first} ${second}` : first).replace(/(?<![.:\s])[.:\s]+(Tried:)?$/, '');
}
