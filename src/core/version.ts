import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The version in this package's `package.json`, found through the package's own name. */
export function packageVersion(): string {
  const manifest: unknown = require('majordomo-broker/package.json');
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    return String(manifest.version);
  }
  return 'unknown';
}
