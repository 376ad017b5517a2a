/**
 * Contexts: brokers by names that a user gives them, each with its address, token and keys. The file is in
 * the user's configuration directory. A context is used as a whole or not at all, so that the token of one
 * broker is never sent to another.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';

import { codeOf } from '../../core/errors.js';
import { namesNode, NODE_URL } from './endpoints.js';
import { type ConfigOptions, usage } from '../common/options.js';

const VARIABLE = 'MAJORDOMO_CONTEXT';
const OWNER_ONLY = 0o600;

export interface Context {
  /** The address of a node, as in `MAJORDOMO_URL`. */
  readonly url: string;
  readonly tokenFile?: string;
  readonly adminCa?: string;
  readonly curveServerKey?: string;
  readonly curveKeyFile?: string;
}

export interface Contexts {
  readonly current: string | null;
  readonly contexts: Readonly<Record<string, Context>>;
}

const KEYS: readonly string[] = ['url', 'tokenFile', 'adminCa', 'curveServerKey', 'curveKeyFile'];

export function contextsFile(): string {
  const given = process.env['XDG_CONFIG_HOME'] ?? '';
  return join(given === '' ? join(homedir(), '.config') : given, 'majordomo', 'contexts.json');
}

/** @throws ERR_USAGE if the file is none of contexts */
export function readContexts(): Contexts {
  const file = contextsFile();
  try {
    const read: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (areContexts(read)) return read;
    throw new Error();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { current: null, contexts: {} };
    const why = code ?? 'it is not a file of contexts';
    throw usage(`${file} cannot be used: ${why}`);
  }
}

function areContexts(value: unknown): value is Contexts {
  if (!isObject(value)) return false;
  const { current, contexts } = value;
  if (current !== null && typeof current !== 'string') return false;
  return isObject(contexts) && Object.values(contexts).every(isContext);
}

function isContext(value: unknown): value is Context {
  if (!isObject(value) || typeof value['url'] !== 'string') return false;
  return Object.entries(value).every(
    ([key, each]) => KEYS.includes(key) && typeof each === 'string',
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Replaces the file. @throws ERR_USAGE */
export function writeContexts(contexts: Contexts): void {
  const file = contextsFile();
  const next = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(next, `${JSON.stringify(contexts, null, 2)}\n`, { mode: OWNER_ONLY });
    renameSync(next, file);
  } catch (error) {
    const why = codeOf(error) ?? 'unknown';
    throw usage(`${file} cannot be written: ${why}`);
  }
}

/** @throws ERR_USAGE: there is none of that name */
export function contextNamed({ contexts }: Contexts, name: string): Context {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(contexts).join(', ') || 'none';
  throw usage(`there is no context '${name}'; known: ${names}`);
}

interface Given extends ConfigOptions {
  readonly context?: string;
  readonly endpoint?: readonly string[];
  readonly admin?: string;
  readonly token?: string;
}

/**
 * Gives a command that is about to run what the context says: the one that is named, or else the current
 * one, unless the command line or the environment says which broker it is.
 * @throws ERR_USAGE
 */
export function applyContext(command: Command): void {
  if (!command.options.some(({ long }) => long === '--context')) return;
  const given: Given = command.opts();
  const named = given.context ?? process.env[VARIABLE] ?? '';
  const isToldByOption =
    given.endpoint !== undefined || given.admin !== undefined || namesNode(given);
  if (given.context !== undefined && isToldByOption) {
    throw usage('give either --context, or --endpoint, --admin, -c or --set');
  }
  const isTold = [NODE_URL, 'MAJORDOMO_ENDPOINT'].some(
    (name) => (process.env[name] ?? '').trim() !== '',
  );
  if (isToldByOption || (named === '' && isTold)) return;
  const known = readContexts();
  const name = named === '' ? known.current : named;
  if (name === null) return;
  const { url, ...others } = contextNamed(known, name);
  process.env[NODE_URL] = url;
  // They are for the broker that the environment names, or for none.
  delete process.env['MAJORDOMO_ENDPOINT'];
  delete process.env['MAJORDOMO_TOKEN'];
  delete process.env['MAJORDOMO_TOKEN_FILE'];
  const taken = Object.keys(command.opts());
  for (const [key, value] of Object.entries(others)) {
    const isFree = !taken.includes(key) && !(key === 'tokenFile' && given.token !== undefined);
    if (isFree && command.options.some((option) => option.attributeName() === key)) {
      command.setOptionValueWithSource(key, value, 'config');
      if (key === 'tokenFile') {
        command.setOptionValueWithSource('tokenFrom', `tokenFile of the context ${name}`, 'config');
      }
    }
  }
}
