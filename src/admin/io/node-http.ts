/**
 * `node:http` as CommonJS has it. To import it makes a module with all that it exports, also the
 * `WebSocket` of undici, which is loaded for that: a seventh of what a broker's start costs.
 */
export const nodeHttp = process.getBuiltinModule('node:http');
