/** Numbers of requests by service, from a daemon's metrics. */

export interface Count {
  readonly received: number;
  readonly replied: number;
}

export type Counted = ReadonlyMap<string, Count>;

const LINE =
  /^majordomo_requests_(received|replied)_total\{service="((?:[^"\\]|\\.)*)"\} ([\d.e+]+)$/gm;

/** Reads two metrics from the text format of Prometheus. */
export function counted(text: string): Counted {
  const found = new Map<string, { received: number; replied: number }>();
  for (const [, what, label = '', value] of text.matchAll(LINE)) {
    const service = label.replaceAll(/\\(.)/g, '$1');
    const count = found.get(service) ?? { received: 0, replied: 0 };
    if (what === 'received') count.received = Number(value);
    else count.replied = Number(value);
    found.set(service, count);
  }
  return found;
}
