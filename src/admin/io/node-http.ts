/**
 * `node:http` without `import`: that reads all that the module exports, `WebSocket` too, for which Node
 * loads undici.
 */
export const nodeHttp = process.getBuiltinModule('node:http');
