import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SDK_ERRORS } from '../../../src/sdk/errors.js';

describe('docs/errors.md', () => {
  it('has exactly the codes of the SDK, each with the words of the code', () => {
    const page = readFileSync(join(process.cwd(), 'docs', 'errors.md'), 'utf8');
    const section = page.split('\n## ').find((part) => part.startsWith('SDK\n')) ?? '';
    const rows = [...section.matchAll(/^\| `(ERR_\w+)` +\| (.+?) +\|$/gm)];
    const documented = new Map(rows.map(([, code, text]) => [code, text]));
    expect(documented).toEqual(new Map(Object.entries(SDK_ERRORS)));
  });
});
