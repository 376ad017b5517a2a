/** The servers that `majordomo worker --to` hands requests on to. */
import { urlToHttpOptions } from 'node:url';

import { messageOf } from '../../../core/errors.js';
import { shownUrl } from '../../../core/web-address.js';
import { authorityIn } from '../../connection/admin-address.js';
import { checkedList } from '../../connection/endpoints.js';
import { usage } from '../../common/options.js';
import { printable } from '../../common/output.js';

/** Where requests of a web server go; in the form of the options of `node:http`. */
export interface WebPlace {
  readonly isSecure: boolean;
  readonly socketPath?: string;
  readonly hostname?: string;
  readonly port?: number;
  readonly path: string;
  readonly auth?: string;
}

/** `web` is `null`: a ZeroMQ socket, at that endpoint. */
export interface Target {
  readonly url: string;
  /** For people: without what may be a password. */
  readonly shown: string;
  readonly web: WebPlace | null;
}

const FORMS = 'tcp://HOST:PORT, ipc://PATH, http://…, https://… or unix:PATH[:/URL-PATH]';
const HTTP_PORTS = { 'http:': 80, 'https:': 443 } as const;

/** What HTTP does not allow in a path; of other URLs it is encoded. */
const NOT_IN_PATH = /[^\x21-\xff]/;

/** @throws ERR_USAGE */
export function targetOf(url: string): Target {
  const shown = printable(shownUrl(url));
  if (/^(tcp|ipc):/.test(url)) {
    checkedList(url, '--to');
    return { url, shown, web: null };
  }
  const [, socketPath, path = '/'] = /^unix:([^:]+)(?::(\/.*))?$/.exec(url) ?? [];
  if (socketPath !== undefined) {
    if (NOT_IN_PATH.test(path)) {
      throw usage(`--to ${shown}: HTTP cannot carry this path: encode it`);
    }
    return { url, shown, web: { isSecure: false, socketPath, path } };
  }
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw usage(`--to ${shown}: not ${FORMS}`);
  }
  return { url, shown, web: webPlaceOf(new URL(url), shown) };
}

/** The certificates of `--ca`. @throws ERR_USAGE */
export function authorityFor(
  targets: readonly Target[],
  file: string | undefined,
): string | undefined {
  if (file === undefined) return undefined;
  if (!targets.some(({ web }) => web?.isSecure === true)) {
    throw usage('--ca is for web servers with TLS (--to https://…)');
  }
  return authorityIn(file, '--ca');
}

function webPlaceOf(url: URL, shown: string): WebPlace {
  const isSecure = url.protocol === 'https:';
  try {
    // Node decodes user and password.
    const { auth, path } = urlToHttpOptions(url);
    const hostname = url.hostname.replace(/^\[|\]$/g, '');
    const port = url.port === '' ? HTTP_PORTS[isSecure ? 'https:' : 'http:'] : Number(url.port);
    const login = typeof auth === 'string' ? { auth } : {};
    return { isSecure, hostname, port, path: path ?? '/', ...login };
  } catch (error) {
    throw usage(`--to ${shown}: ${messageOf(error)}`);
  }
}
