import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import type { LineCounter } from 'yaml';

import { codeOf, MajordomoError } from '../../core/errors.js';
import { show, plain, type SourceLocation, type Source } from '../tree.js';
import { readYaml, type YamlRead } from './yaml.js';

/** A larger file is not a configuration. */
const FILE_BYTES_MAX = 1_048_576;

/**
 * Reads a YAML file.
 * @throws ERR_CONFIG_FILE if it is missing, unreadable, not a plain file, or over 1 MiB
 */
export function readFile(file: string): Source {
  const { tree, problems } = readTree(file);
  if (tree === null || tree.kind === 'map') return { tree, problems };
  if (tree.kind === 'scalar' && tree.value === null) return { tree: null, problems };
  const message = `expected a map of sections, got ${show(plain(tree))}`;
  const rootProblem = { place: tree.origin.place, path: '', message };
  return { tree: null, problems: problems.length > 0 ? problems : [rootProblem] };
}

/**
 * Reads any YAML file.
 * @param nodesMax the most values, if not as many as in a configuration
 * @throws as `readFile`
 */
export function readTree(file: string, nodesMax?: number): YamlRead {
  const bytes = readBytes(file);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { tree: null, problems: [{ place: `${file}:1:1`, path: '', message: 'is not UTF-8' }] };
  }
  const locator = (offset: number, lines: LineCounter): SourceLocation => {
    const { line, col } = lines.linePos(offset);
    return { source: 'file', place: `${file}:${Math.max(1, line)}:${Math.max(1, col)}` };
  };
  return readYaml(text, locator, nodesMax);
}

function readBytes(file: string): Uint8Array {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    // A pipe (`-c <(…)`) has no size: reads what comes, up to the limit.
    if (fstatSync(descriptor).isDirectory()) throw refused(file, 'is a directory');
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += count;
      if (length > FILE_BYTES_MAX) throw refused(file, `is larger than ${FILE_BYTES_MAX} bytes`);
      if (count === 0) return buffer.subarray(0, length);
    }
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ERR_CONFIG_FILE') throw error;
    throw refused(file, WHY[code ?? ''] ?? `cannot be read (${code ?? 'unknown'})`, error);
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'cannot be read: permission denied',
  EISDIR: 'is a directory',
};

function refused(file: string, why: string, cause?: unknown): MajordomoError {
  return new MajordomoError('ERR_CONFIG_FILE', `${file}: ${why}`, { cause, details: { file } });
}
