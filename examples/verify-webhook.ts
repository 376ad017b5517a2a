// What a receiver of webhooks does first: it asks whether the broker sent this, a short while ago.
//   if (!isFromBroker(request.headers, body, secret)) response.writeHead(401).end();
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const SECONDS_MAX = 300;

/** `body`: as it came; `secret`: the line of `http.webhookSecretFile`, which begins with `whsec_`. */
export function isFromBroker(headers: IncomingHttpHeaders, body: string, secret: string): boolean {
  const id = String(headers['webhook-id']);
  const time = String(headers['webhook-timestamp']);
  const given = String(headers['webhook-signature']);
  // An old one may have been sent again by somebody else.
  if (!(Math.abs(Date.now() / 1000 - Number(time)) < SECONDS_MAX)) return false;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const wanted = createHmac('sha256', key).update(`${id}.${time}.${body}`).digest();
  return given.split(' ').some((each) => {
    const signature = Buffer.from(each.replace('v1,', ''), 'base64');
    return signature.length === wanted.length && timingSafeEqual(signature, wanted);
  });
}
