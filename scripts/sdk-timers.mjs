/**
 * What the SDK uses for the global timers (build-sdk.mjs). They are taken when the package is loaded, so that
 * the fake timers of a test, which replace those of `globalThis` and of `node:timers`, do not stop it. With
 * Jest's `fakeTimers.enableGlobally`, `queueMicrotask` and `Date` are fake even before that.
 */
import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

export const { setTimeout, setInterval, setImmediate } = timers;
export const { clearTimeout, clearInterval, clearImmediate } = timers;

const resolved = Promise.resolve();
export const queueMicrotask = (callback) => void resolved.then(callback);

const { isFake, now: read } = Date;
export const now = isFake ? () => Math.floor(performance.timeOrigin + performance.now()) : read;
