import { isUtf8 } from 'node:buffer';

/** A frame in a form that JSON can represent. */
interface FrameJson {
  readonly encoding: 'utf8' | 'base64';
  readonly data: string;
}

/** A frame for JSON: as text if it is UTF-8, else as base64. */
export function frameJson(frame: Buffer): FrameJson {
  return isUtf8(frame)
    ? { encoding: 'utf8', data: frame.toString('utf8') }
    : { encoding: 'base64', data: frame.toString('base64') };
}
