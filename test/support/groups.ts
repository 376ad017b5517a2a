/** Requests of groups, and what workers get of them. */
import type { ClientActor, WorkerActor } from './stage-peers.js';

/** A client that sends each body as a request of the group of its first letter; `-`: of none. */
export function send(client: ClientActor, bodies: string): void {
  for (const body of bodies.split(' ')) {
    const group = body.startsWith('-') ? '' : (body[0] ?? '');
    client.connection.sends('MDPC02', '\x05', 'echo', '', group, '', '', body);
  }
}

/** The bodies of what a worker got since the last look. */
export function got(worker: WorkerActor): string {
  return worker
    .inbox()
    .map((line) => line.replace('REQUEST ', ''))
    .join(' ');
}

/** The order in which one worker gets what waits, as it answers what it has. */
export function order(worker: WorkerActor): string[] {
  const bodies: string[] = [];
  for (let text = got(worker); text !== ''; text = got(worker)) {
    const now = text.split(' ');
    for (const _ of now) worker.final('ok');
    bodies.push(...now);
  }
  return bodies;
}
