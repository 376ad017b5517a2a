/** The whole package `majordomo-sdk`: everything of its clients, its worker, its streams, and its map. */
// eslint-disable-next-line no-restricted-syntax -- what they list is this list
export * from './client.js';
// eslint-disable-next-line no-restricted-syntax -- as above
export * from './worker.js';
// eslint-disable-next-line no-restricted-syntax -- as above
export * from './stream.js';
// eslint-disable-next-line no-restricted-syntax -- as above
export * from './map.js';
