/** The last ten minutes of this node: its numbers, the clocks, and the timer. */
import type { FigureSource } from '../broker/listing.js';
import type { Config } from '../config/config.js';
import { monotonicMs } from '../core/clock.js';
import { escapeName } from '../core/escape.js';
import type { Labels } from '../core/labels.js';
import type {
  Pictures as PicturesPort,
  Present,
  SampleBlock,
  ServiceFigures,
} from '../http/ports.js';
import { Pictures, type PictureSources, SAMPLE_EVERY_MS } from '../observe/pictures.js';
import { serviceFigures } from '../observe/service-figures.js';

interface NodeSources extends PictureSources {
  services(): number;
}

export class NodePictures implements PicturesPort {
  readonly startedAt: string = new Date().toISOString();
  readonly peerEndpoint: string | null;
  readonly #sources: NodeSources;
  readonly #pictures: Pictures;
  readonly #timer: NodeJS.Timeout;

  constructor({ bstar }: Config, sources: NodeSources) {
    this.peerEndpoint = bstar.peer;
    this.#sources = sources;
    this.#pictures = new Pictures(sources, monotonicMs());
    this.#timer = setInterval(() => {
      this.#pictures.sample(monotonicMs(), Date.now());
    }, SAMPLE_EVERY_MS).unref();
  }

  present(): Present {
    const titanic = this.#sources.titanic();
    const services = this.#sources.services();
    if (titanic === null) return { services, stored: null };
    const { counts, delivered } = titanic;
    const pending = Math.max(0, counts.pending - delivered);
    const { replied, dead, bytes } = counts;
    return { services, stored: { pending, dispatched: delivered, replied, dead, bytes } };
  }

  samples(since: number): SampleBlock {
    return this.#pictures.samples(since);
  }

  historyOf(service: Buffer, since: number): SampleBlock {
    return this.#pictures.historyOf(escapeName(service), since);
  }

  services(): readonly ServiceFigures[] {
    return this.#pictures.services(monotonicMs());
  }

  /** What lists tell of a service beside its workers. */
  figures(labels: Labels): FigureSource {
    return serviceFigures({
      labels,
      pictures: this.#pictures,
      stored: (service) => this.#sources.titanic()?.durableOf(service, Date.now()) ?? null,
    });
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
