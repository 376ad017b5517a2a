/** `npm run bench`: everything, or with the word `fleet` first the brokers of a fleet. */
if (process.argv[2] === 'fleet') {
  process.argv.splice(2, 1);
  await import('./fleet.js');
} else {
  await import('./run.js');
}
