// A web server: PORT [DELAY_MS]; it answers each POST with its body.
import { createServer } from 'node:http';

const [, , port, delayMs = '0'] = process.argv;
const say = (event) => console.log(JSON.stringify({ event }));

createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    say('request');
    setTimeout(() => response.end(Buffer.concat(chunks)), Number(delayMs));
  });
}).listen(Number(port), '127.0.0.1', () => say('listening'));
