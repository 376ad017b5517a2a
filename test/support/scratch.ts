import { tmpdir } from 'node:os';

/** Where tests keep stores and clusters: in memory if scripts/test.mjs found enough of it. */
export const SCRATCH: string = process.env['MAJORDOMO_SCRATCH'] ?? tmpdir();
