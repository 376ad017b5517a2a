import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

import { codeOf } from '../../core/errors.js';
import type { PageFile } from '../http/page-routes.js';
import { ownFile } from '../../core/own-file.js';

/** Where the build puts the page. */
const FOLDER = fileURLToPath(ownFile('page/'));

/** All files of the page; none if it was not built. */
export function readPage(): PageFile[] {
  try {
    return readdirSync(FOLDER, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => ({
        path: relative(FOLDER, file).replaceAll(sep, '/'),
        bytes: readFileSync(file),
      }));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
