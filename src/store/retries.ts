/** Why an operation on a store was tried again, for a store that others reach over a network. */
export const RETRY_REASONS = [
  'connection',
  'timeout',
  'full',
  'too_many_connections',
  'read_only',
  'serialization',
  'deadlock',
  'other',
] as const;

export type RetryReason = (typeof RETRY_REASONS)[number];
