/** What a webhook says, and its signature (Standard Webhooks: standardwebhooks.com). */
import { createHmac } from 'node:crypto';

import { readSecrets } from '../../config/io/private-file.js';
import { escapeName } from '../../core/escape.js';
import { uuidText } from '../../wire/tsp.js';
import { resultPath } from './answers.js';

const FILE_BYTES_MAX = 1024;
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/;
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;

/** The secrets of `http.webhookSecretFile`. @throws ERR_CONFIG_FILE */
export function readWebhookSecrets(file: string): readonly Buffer[] {
  const wrong = `a line is not whsec_ and ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes in Base64`;
  return readSecrets(file, FILE_BYTES_MAX, secretIn, wrong);
}

function secretIn(line: string): Buffer | null {
  const secret = Buffer.from(SECRET.exec(line)?.[1] ?? '', 'base64');
  return secret.length >= SECRET_BYTES_MIN && secret.length <= SECRET_BYTES_MAX ? secret : null;
}

export function signedHeaders(
  id: string,
  body: string,
  secrets: readonly Buffer[],
  wall: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(wall / 1000));
  const signatures = secrets.map((secret) => {
    const hmac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`);
    return `v1,${hmac.digest('base64')}`;
  });
  return {
    'content-type': 'application/json',
    'user-agent': 'majordomo',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

export interface Ended {
  readonly uuid: Buffer;
  readonly service: Buffer;
  /** `ended`: it is gone, and how is not known. */
  readonly outcome: 'replied' | 'dead' | 'cancelled' | 'expired' | 'ended';
  readonly code: string | null;
  readonly reason: string | null;
  readonly acceptedAt: number;
  readonly endedAt: number;
}

export function bodyOf({ uuid, service, acceptedAt, endedAt, ...ended }: Ended): string {
  const { outcome, code, reason } = ended;
  const [accepted, end] = [acceptedAt, endedAt].map((at) => new Date(at).toISOString());
  return JSON.stringify({
    type: `request.${outcome}`,
    timestamp: end,
    data: {
      uuid: uuidText(uuid),
      service: escapeName(service),
      outcome,
      code,
      reason,
      acceptedAt: accepted,
      endedAt: end,
      location: outcome === 'replied' || outcome === 'dead' ? resultPath(uuidText(uuid)) : null,
    },
  });
}
