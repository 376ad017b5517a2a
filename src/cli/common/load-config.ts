/**
 * Reads the configuration that the options name. A file of its own, since most commands need no
 * YAML.
 */
import { type Loaded, loadConfig } from '../../config/io/load.js';
import type { ConfigOptions } from './options.js';

/** @throws ERR_CONFIG_INVALID, ERR_CONFIG_FILE */
export function load({ config, set: sets = [] }: ConfigOptions): Loaded {
  const file = config === undefined ? {} : { file: config };
  return loadConfig({ ...file, environment: process.env, sets });
}
