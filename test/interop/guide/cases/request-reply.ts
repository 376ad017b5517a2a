/** Chapters 1 and 2: REQ clients that name no service. */
import { MAIN } from '../../../support/child.js';
import type { Case } from '../support/case.js';
import { clientsAt, ECHO, expectPrinted, type Place } from '../support/place.js';

/** Runs a client of the Guide against a worker that answers with `World`. */
async function greets(place: Place, program: string, port: number, last: string): Promise<void> {
  const daemon = await place.broker({ listen: [clientsAt(port)] });
  await place.worker(daemon, () => 'World');
  await expectPrinted(place.program(program), last);
}

/** Behind a worker that nobody wrote (D119). */
async function answers(place: Place): Promise<void> {
  const daemon = await place.broker({ listen: [] });
  place.program('hwserver');
  const to = ['--endpoint', daemon.endpoint, '--to', 'tcp://localhost:5555'];
  place.execute(process.execPath, MAIN, 'worker', ECHO, ...to);
  expect((await place.client(daemon).request(ECHO, 'Hello')).text()).toBe('World');
}

export const REQUEST_REPLY: readonly Case[] = [
  {
    programs: ['hwserver'],
    shows: 'a REP server answers a request, behind majordomo worker --to',
    run: answers,
  },
  {
    programs: ['hwclient'],
    shows: `ten requests of a REQ socket are answered by a worker of the SDK for ${ECHO}`,
    run: (place) => greets(place, 'hwclient', 5555, 'Received World 9'),
  },
  ...['hwclient2', 'hwclient3', 'hwclient4'].map((program) => ({
    programs: [program],
    shows: 'the same, of a DEALER socket (2), a REQ (3) or a DEALER (4) with an identity',
    run: (place: Place) => greets(place, program, 5555, 'Received respond msg: World NO=10'),
  })),
  {
    programs: ['rrclient'],
    shows: 'the same, in place of rrbroker',
    run: (place) => greets(place, 'rrclient', 5559, 'Received reply 9 [World]'),
  },
];
