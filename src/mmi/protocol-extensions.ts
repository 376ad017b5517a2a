/** The extension of sessions (D116): only listeners list it that have them. */
export const RESUME = 'resume';

/** The extensions that every broker offers its peers, as `mmi.broker` lists them. */
export const PROTOCOL_EXTENSIONS: readonly string[] = [
  'credit',
  'ready-options',
  'headers',
  'options',
  'group',
  'contract',
  'fail',
  'hello',
  'cancel',
  'leave',
  'why',
];

/** Extensions of Titanic. */
export const TITANIC_EXTENSIONS: readonly string[] = [
  'submit',
  'wait',
  'backoff',
  'schedule',
  'progress',
  'existed',
  'call',
];
