/** `--curve-server-key` and `--curve-key-file`: CURVE for the commands that talk to a broker. */
import { readSecretKey } from '../../config/io/secret-key.js';
import { curvePublicKeyOf } from '../../core/curve-file.js';
import { causeOf, codeOf, detailsOf, MajordomoError, messageOf } from '../../core/errors.js';
import { decodeCurveKey, encodeZ85 } from '../../core/z85.js';
import { usage } from '../common/options.js';
import type { CurveClientKeys } from '../../sdk/dials.js';
import type { Link } from '../../zmtp/link-port.js';
import type { CurveOptions } from './options.js';

/**
 * The SDK's option, or nothing if neither option was given.
 * @throws ERR_USAGE, ERR_CONFIG_FILE
 */
export function curveOf(options: CurveOptions): { readonly curve?: CurveClientKeys } {
  const { curveServerKey, curveKeyFile } = options;
  if (curveServerKey === undefined && curveKeyFile === undefined) return {};
  if (curveServerKey === undefined || curveKeyFile === undefined) {
    throw usage('--curve-server-key and --curve-key-file must be given together');
  }
  const serverKey = decodeCurveKey(curveServerKey);
  if (serverKey === null) {
    throw usage(
      '--curve-server-key: a key is 40 characters of Z85; from a file: "$(cat FILE.pub)"',
    );
  }
  const secretKey = readSecretKey(curveKeyFile);
  return { curve: { serverKey, publicKey: curvePublicKeyOf(secretKey), secretKey } };
}

/**
 * What to do if a broker does not admit the key.
 * @param right that the key's entry must give
 */
export function keyRemedy(curve: CurveClientKeys | undefined, right: 'client' | 'worker'): string {
  if (curve === undefined) return 'does not admit this program, which has no key';
  const key = encodeZ85(Buffer.from(curve.publicKey));
  return (
    `refuses the key ${key}: the keys file of its listener needs an entry with this ` +
    `publicKey and the right ${right}`
  );
}

/** Says another possible reason why no broker answers; empty without keys. */
export function keyHint(curve: CurveClientKeys | undefined): string {
  return curve === undefined ? '' : " (or --curve-server-key is not that broker's)";
}

/** What names another broker, for errors. */
export const OTHER_BROKER =
  '; name another broker with --endpoint, MAJORDOMO_ENDPOINT, MAJORDOMO_URL or majordomo context';

/**
 * Adds to an error of the SDK the address, the cause and what to do; returns any other error as it is.
 * @param at the endpoints that were asked
 */
export function explainedAsking(
  error: unknown,
  at: string,
  curve: CurveClientKeys | undefined,
  remedy: string = OTHER_BROKER,
): unknown {
  const code = codeOf(error);
  const text =
    code === 'ERR_MDP_KEY_REFUSED'
      ? `the broker at ${at} ${keyRemedy(curve, 'client')}`
      : code === 'ERR_MDP_UNREACHABLE'
        ? `no broker answers at ${causesIn(error) ?? at}${keyHint(curve)}${remedy}`
        : code === 'ERR_MDP_TIMEOUT'
          ? late(messageOf(error), at)
          : code === 'ERR_MDP_NO_WORKER' && messageOf(error).includes("'titanic.")
            ? `the broker at ${at} keeps no durable requests: set titanic.enabled there`
            : null;
  if (code === undefined || text === null) return error;
  return new MajordomoError(code, text, { cause: causeOf(error), details: detailsOf(error) });
}

/** Adds to the text of a wait that is over who had accepted the connection, and the option that ended the wait. */
function late(text: string, at: string): string {
  return `${text.replace(/\(timeoutMs \d+; /, '(')}; ${at} accepted the connection (--timeout-ms)`;
}

/** How long `publisherFault` waits for a cause: silence for so long gives none. */
const FAULT_MS = 1000;

/**
 * Tries to subscribe once more, to learn why nobody has accepted a connection.
 * @returns the cause; `null`: now somebody does
 */
export async function publisherFault(
  endpoint: string,
  curve: CurveClientKeys | undefined,
): Promise<string | null> {
  const { dialSubscriber } = await import('../../sdk/dials.js');
  const dial = dialSubscriber([], curve ?? null);
  let link: Link | undefined;
  let timer: NodeJS.Timeout | undefined;
  const fault = await new Promise<string | null>((resolve) => {
    link = dial(endpoint, {
      connected: () => resolve(null),
      disconnected: () => undefined,
      message: () => undefined,
      unreachable: (_isKeyRefused, why) => resolve(why),
    });
    timer = setTimeout(resolve, FAULT_MS, 'no answer');
  });
  clearTimeout(timer);
  await link?.close(0);
  return fault;
}

/** Says why each endpoint accepted no connection; `null`: the error has no cause. */
function causesIn(error: unknown): string | null {
  const cause = causeOf(error);
  if (cause === undefined) return null;
  const text = messageOf(cause).replaceAll(/: no connection\b/g, ': no answer');
  return text.includes('not ZMTP') ? `${text} (an address of http.listen is for --admin)` : text;
}
