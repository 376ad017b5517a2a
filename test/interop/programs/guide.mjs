// MDP 0.1 on zeromq.js: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.
// With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE.
const { Dealer, Request } = await import(process.env.ZMQ_MODULE ?? 'zeromq');

const [role, endpoint, service, ...rest] = process.argv.slice(2);
const { MDP_SERVER_KEY, MDP_PUBLIC_KEY, MDP_SECRET_KEY } = process.env;
const curve = MDP_SERVER_KEY && {
  curveServerKey: MDP_SERVER_KEY,
  curvePublicKey: MDP_PUBLIC_KEY,
  curveSecretKey: MDP_SECRET_KEY,
};

async function worker(count) {
  const socket = new Dealer({ linger: 5000, receiveTimeout: 1000, ...curve });
  socket.connect(endpoint);
  await socket.send(['', 'MDPW01', '\x01', service]);
  while (count > 0) {
    const [, , code, client, , ...body] = await socket.receive().catch(() => []);
    if (code === undefined) {
      await socket.send(['', 'MDPW01', '\x04']);
    } else if (code[0] === 2) {
      await socket.send(['', 'MDPW01', '\x03', client, '', 'zeromq.js', ...body]);
      count--;
    }
  }
  await socket.send(['', 'MDPW01', '\x05']);
  socket.close();
}

async function client(body) {
  const socket = new Request({ receiveTimeout: 60_000, ...curve });
  socket.connect(endpoint);
  await socket.send(['MDPC01', service, ...body]);
  const frames = await socket.receive();
  console.log(JSON.stringify({ event: 'reply', frames: frames.map(String) }));
  socket.close();
}

await (role === 'worker' ? worker(Number(rest[0])) : client(rest));
