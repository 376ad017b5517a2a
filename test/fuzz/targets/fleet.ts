/** What arrives at a broker of a fleet: any packs leave it able to serve, and holding nothing. */
import {
  askEntry,
  encodeChunk,
  encodePack,
  finalEntry,
  heldEntry,
  offerEntry,
  partialEntry,
  presenceEntry,
  requestEntry,
  returnEntry,
  wantEntry,
} from '../../../src/extensions/fleet/machine/codec.js';
import { Frames } from '../../../src/core/frames.js';
import type { FleetChannel } from '../../../src/extensions/fleet/machine/protocol.js';
import { FleetWorld, STAGE_FLEET } from '../../support/fleet-stage.js';
import { check, type Target } from '../target.js';

const SERVICE = Buffer.from('echo');
const BODY = Buffer.from([0, 2, 0x68, 0x69]);
const CREDIT = { free: 3, total: 4 };
const PACKS_MAX = 12;

/** Packs, each after its length in two bytes. */
function run(input: Buffer): void {
  const world = new FleetWorld({ requestTtlMs: 5000 });
  const broker = world.broker('fuzzed');
  const worker = broker.worker('w').ready('echo', { credit: 2 });
  const client = broker.client('c').request('far', 'hi');
  let at = 0;
  for (let n = 0; n < PACKS_MAX && at + 2 <= input.length; n++) {
    const end = at + 2 + input.readUInt16BE(at);
    world.inject(broker, Buffer.from(input.subarray(at + 2, end)));
    at = end;
    if (n % 4 === 3) world.after(300);
  }
  client.request('echo', 'still there');
  const answers = worker.inbox();
  const isServed = answers.includes('REQUEST still there') || answers.length >= 2;
  check(isServed, 'the broker no longer serves its own clients');
  world.end();
}

/** The id of the broker, which the stage makes from its seed. */
function idOf(): Buffer {
  const world = new FleetWorld();
  const id = world.broker('fuzzed').members()[0]?.id ?? '';
  world.end();
  return Buffer.from(id, 'hex');
}

export function fleet(): Target {
  const id = idOf();
  const sender = Buffer.from('stranger');
  const head = (channel: FleetChannel, number: number) => {
    const to = channel === 'direct' ? id : Buffer.alloc(8);
    return { channel, fleet: STAGE_FLEET, sender, to, number, seen: 3 };
  };
  const packed = (channel: FleetChannel, number: number, entry: Buffer): Buffer =>
    framed(encodePack(head(channel, number), [entry], entry.length));
  const offer = offerEntry([{ service: Buffer.from('far'), ...CREDIT, bytes: 1000 }]);
  const request = requestEntry(1, SERVICE, 50, BODY, 0, BODY.length, false);
  const said = { node: 'n', version: '1', keys: sender, isLeaving: false, takesOnce: true };
  const presence = presenceEntry(said);
  const seeds = [
    [packed('direct', 1, offer), packed('direct', 2, finalEntry(1, CREDIT, 0, Frames.of('ho'), 0))],
    [packed('direct', 1, offer), packed('direct', 2, returnEntry(1, 'lost', CREDIT, 'x'))],
    [packed('direct', 1, offer), packed('direct', 2, partialEntry(1, 0, BODY))],
    [packed('direct', 1, heldEntry([])), packed('direct', 2, heldEntry([1]))],
    [packed('direct', 1, request), packed('direct', 2, askEntry())],
    [packed('want', 1, wantEntry(SERVICE)), packed('offer', 1, offer)],
    [packed('presence', 1, presence)],
    [framed(encodeChunk(head('direct', 1), request, 0, request.length))],
  ].map((packs) => Buffer.concat(packs));
  return { name: 'fleet', bytesMax: 1024, seeds, words: ['MJF'], run };
}

function framed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
