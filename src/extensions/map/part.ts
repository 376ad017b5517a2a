/** The map's part of the store: what the program knows of it before the map is loaded. */
export const MAP_PART = { number: 1, one: 'key of the map', more: 'keys of the map' } as const;
