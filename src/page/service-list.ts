/** All services of the node, with their rates. */
import type { Service } from '../admin/api/node-answers.js';
import type { Page } from '../admin/api/words.js';
import { get } from './api.js';

const EVERY_MS = 2000;
/** Items in one answer of the API. */
const ASKED = 1000;
/** Enough for all services of a node whose limits were not raised. */
const PAGES_MAX = 10;

export class ServiceList {
  services: readonly Service[] = [];

  /** Longer if there are many services, so that they do not cost the node more. */
  readonly delayMs = (): number => EVERY_MS * Math.max(1, Math.ceil(this.services.length / 500));

  /** @throws ApiError */
  async load(): Promise<void> {
    this.services = await allServices();
  }
}

/** Loads all pages of the list. */
async function allServices(): Promise<Service[]> {
  const all: Service[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answer: Page<Service> = await get(`/api/v1/services?limit=${ASKED}${after}`);
    all.push(...answer.items);
    cursor = answer.next;
    if (cursor === null) break;
  }
  return all;
}
