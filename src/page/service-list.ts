/** The services of the node, all of them, and how fast each is. */
import type { Service, ServiceFigures, ServiceFiguresList } from '../http/api/node-answers.js';
import type { Page } from '../http/api/words.js';
import { get } from './api.js';

const EVERY_MS = 2000;
/** Of one answer of the API. */
const ASKED = 1000;
/** As many as a node can have, unless its limits were raised. */
const PAGES_MAX = 10;

export interface Listed extends Service {
  /** `null`: it is one of those that are not counted by themselves. */
  readonly figures: ServiceFigures | null;
}

export class ServiceList {
  services: readonly Listed[] = [];

  /** Many are asked for less often, so that a page costs the node no more for them. */
  readonly delayMs = (): number => EVERY_MS * Math.max(1, Math.ceil(this.services.length / 500));

  /** @throws ApiError */
  async load(): Promise<void> {
    const [all, figures] = await Promise.all([allServices(), loadFigures()]);
    this.services = all.map((each) => ({ ...each, figures: figures.get(each.service) ?? null }));
  }
}

/** @throws ApiError */
export async function loadFigures(): Promise<ReadonlyMap<string, ServiceFigures>> {
  const { items } = await get<ServiceFiguresList>('/api/v1/overview/services');
  return new Map(items.map((item) => [item.service, item]));
}

/** A page of the API after the other. */
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
