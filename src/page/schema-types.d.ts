/** Named by the types from which the schemas of the API are made. A browser has none of it. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
interface Buffer extends Uint8Array {}
