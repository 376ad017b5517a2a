/**
 * In which epoch this node, as the active one, had everything that its peer had: a file beside that
 * of the epoch. If it is the epoch that the node took last, no receipt is only at the peer, unless
 * the peer was active afterwards.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

const PRIVATE_MODE = 0o600;
const FORM = /^\d{1,15}\n$/;

/** Writes the epoch, which is on disk when it resolves. @throws the errors of the file system */
export async function writeWholeEpoch(path: string, epoch: number): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', PRIVATE_MODE);
  try {
    await file.writeFile(`${epoch}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Reads the epoch; `null`: unknown. */
export async function readWholeEpoch(path: string): Promise<number | null> {
  try {
    const text = await readFile(path, 'utf8');
    return FORM.test(text) ? Number(text) : null;
  } catch {
    return null;
  }
}
