/** Serves the page: the files of one folder, read at the start and kept in memory. */
import { createHash } from 'node:crypto';

import type { Answer, Headers } from './answer.js';
import type { Route } from './route.js';

/** A file of the page. */
export interface PageFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly bytes: Buffer;
}

const INDEX = 'index.html';

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  ico: 'image/x-icon',
  js: 'text/javascript; charset=utf-8',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
  webmanifest: 'application/manifest+json',
  woff2: 'font/woff2',
};

/** Only files of this server: no inline script, no frame, no form, no other site. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  // No text can become HTML or a script, even by mistake.
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/**
 * A route for each file, and `/`. They need no token: they contain nothing about the node, and a
 * browser cannot send a token before it has loaded them.
 */
export function pageRoutes(files: readonly PageFile[]): Route[] {
  return files.flatMap(({ path, bytes }) => {
    const answer = fileAnswer(path, bytes);
    const paths = path === INDEX ? ['/', `/${path}`] : [`/${path}`];
    return paths.map((each): Route => ({
      method: 'GET',
      path: each,
      access: 'open',
      parameters: [],
      handle: () => answer,
    }));
  });
}

function fileAnswer(path: string, bytes: Buffer): Answer {
  const ending = path.slice(path.lastIndexOf('.') + 1);
  const headers: Headers = {
    // Browsers revalidate their copy, so that none runs old files after an upgrade.
    'cache-control': 'no-cache',
    'content-security-policy': POLICY,
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
  };
  const type = TYPES[ending] ?? 'application/octet-stream';
  return { status: 200, type, body: bytes, headers };
}
