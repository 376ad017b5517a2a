/**
 * `node:http`, without an `import`, which would read every export of it: for one of them, `WebSocket`, Node
 * loads undici.
 */
export const nodeHttp = process.getBuiltinModule('node:http');
