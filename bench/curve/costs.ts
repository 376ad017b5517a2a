/** CPU µs of one frame with a body of `size` bytes. */
export interface Costs {
  readonly size: number;
  readonly sealUs: number;
  readonly openUs: number;
}
