/** All that is fuzzed. */
import type { TargetMaker } from './target.js';
import { broker } from './targets/broker.js';
import { codec } from './targets/codec.js';
import { config } from './targets/config.js';
import { curve } from './targets/curve.js';
import { fleet } from './targets/fleet.js';
import { http } from './targets/http.js';
import { map } from './targets/map.js';
import { page } from './targets/page.js';
import { pair } from './targets/pair.js';
import { peer } from './targets/peer.js';
import { pirates } from './targets/pirates.js';
import { storeRecords } from './targets/records.js';
import { sdk } from './targets/sdk.js';
import { streams } from './targets/streams.js';
import { titanic } from './targets/titanic.js';
import { tsp } from './targets/tsp.js';
import { zmtp } from './targets/zmtp.js';

export const TARGETS: Readonly<Record<string, TargetMaker>> = {
  codec,
  pirates,
  zmtp,
  curve,
  broker,
  sdk,
  streams,
  map,
  titanic,
  tsp,
  peer,
  fleet,
  pair,
  records: storeRecords,
  config,
  http,
  page,
};
