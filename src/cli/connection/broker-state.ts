/** Asks a broker for its state by MMI, as any client can, or by HTTP; the answers are the same. */
import type { Command } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import type { AdminClient } from './admin-client.js';
import { addAdminOnly, adminClient, type AdminOptions, allOf, learntAdmin } from './admin.js';
import { addAskOptions, ask, type AskOptions, answerFacts, listOf, withClient } from './ask.js';
import type { Facts } from '../common/facts.js';
import { usage } from '../common/options.js';
import { shownName } from '../common/output.js';
import { namesNode, nodeUrl } from './node-url.js';

export type LookOptions = AskOptions & AdminOptions;

/** Adds the options of both ways to ask. */
export function addLookOptions(command: Command, more: 'list' | null = null): Command {
  return addAdminOnly(addAskOptions(command, more));
}

export const WHERE_TEXT = `
The command uses the first of these that is given: --endpoint (MMI, over MDP) or --admin (HTTP), -c or
--set http.listen=… (HTTP), MAJORDOMO_ENDPOINT (MMI), MAJORDOMO_URL (HTTP; MMI if it is an endpoint
and the HTTP address is unknown or unusable), the configuration of this machine (HTTP).
`;

/** A broker that can be asked. */
export interface StateSource {
  /** The JSON of mmi.broker; by HTTP also the database, which clients are not told (`store`). */
  status(): Promise<Facts>;
  /** The items of mmi.services; by HTTP also what only `ServiceSeen` has. */
  services(): Promise<readonly Facts[]>;
  /**
   * The items of mmi.workers, of all services or of one; by HTTP with a token also their addresses.
   */
  workers(service?: string): Promise<readonly Facts[]>;
  /** The JSON of mmi.contract. @throws ERR_REQUEST_FAILED with the status 404: there is none */
  contract(service: string | Buffer): Promise<Facts>;
  /** Where clients reach the broker. @throws ERR_NOT_LEARNT */
  endpoint(): Promise<string>;
  /** Asks, only by HTTP, whether the node is ready, and what is degraded. */
  health(): Promise<Facts | null>;
}

/** @throws ERR_USAGE, and whatever asking throws */
export async function look<T>(
  options: LookOptions,
  use: (broker: StateSource) => Promise<T>,
): Promise<T> {
  const { admin, endpoint } = options;
  if (admin !== undefined && endpoint !== undefined) {
    throw usage('give either --endpoint or --admin, not both');
  }
  const way = wayOf(options);
  if (way === 'http') return await use(byHttp(await adminClient(options)));
  const learnt = way === 'learnt' ? await learntAdmin(options) : null;
  if (learnt !== null) return await use(byHttp(learnt));
  return await withClient(options, (client) =>
    use({
      status: async () => ({
        ...answerFacts('mmi.broker', await ask(client, 'mmi.broker')),
        store: null,
      }),
      services: async () => listOf('mmi.services', await ask(client, 'mmi.services')),
      workers: async (service) => {
        const answer = await ask(client, 'mmi.workers', service);
        if (answer.status === '404') return [];
        // With the same keys as by HTTP: older brokers report neither names nor numbers, and MMI no addresses.
        const unknown = { name: null, number: null, address: null };
        return listOf('mmi.workers', answer).map((worker) => ({ ...unknown, ...worker }));
      },
      contract: async (service) => {
        const answer = await ask(client, 'mmi.contract', service);
        if (answer.status === '404') throw noContract();
        return answerFacts('mmi.contract', answer);
      },
      endpoint: () => Promise.resolve(client.endpoint ?? ''),
      health: () => Promise.resolve(null),
    }),
  );
}

/** The error of a service without a contract, as HTTP tells it. */
function noContract(): MajordomoError {
  const text = 'no worker of this service announced a contract';
  return new MajordomoError('ERR_REQUEST_FAILED', text, { details: { status: 404 } });
}

/** `learnt`: by HTTP if the endpoints of `MAJORDOMO_URL` report an HTTP address, else by MMI. */
function wayOf(options: LookOptions): 'mmi' | 'http' | 'learnt' {
  if (options.endpoint !== undefined) return 'mmi';
  if (options.admin !== undefined || namesNode(options)) return 'http';
  if ((process.env['MAJORDOMO_ENDPOINT'] ?? '').trim() !== '') return 'mmi';
  const url = nodeUrl();
  return url === null || url.addresses.length > 0 ? 'http' : 'learnt';
}

export function byHttp(client: AdminClient): StateSource {
  return {
    status: async () => {
      // Endpoints are only for learning addresses: what is shown does not depend on how it was
      // asked.
      const { endpoints: _endpoints, ...status } = await client.get('/api/v1/status');
      // Older brokers report no store.
      return { ...status, store: status['store'] ?? null };
    },
    services: () => allOf(client, '/api/v1/services'),
    workers: (service) => {
      const name = service === undefined ? {} : { service: shownName(service) };
      return allOf(client, '/api/v1/workers', name);
    },
    contract: (service) =>
      client.get(`/api/v1/services/${encodeURIComponent(shownName(service))}/contract`),
    endpoint: async () => {
      const { learntEndpoint } = await import('./learnt-address.js');
      const want = { client: true, worker: false, curve: null };
      return learntEndpoint(await client.get('/api/v1/status'), client.place, want);
    },
    health: () => client.get('/healthz'),
  };
}
