#!/usr/bin/env bash
# @asyncapi/parser 3.6.6: the rules for the reply of an operation.
#
# Expected: they are checked as those of the operation itself are: AsyncAPI 3.0.0 has both with MUST.
#
# Seen: a reply may have messages of another channel, and an address beside a channel with a fixed one, without an
# error or a warning. The same mistake in the operation is refused.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --prefer-offline @asyncapi/parser@3.6.6
cat >try.js <<'JS'
import { Parser } from '@asyncapi/parser';
const refer = ($ref) => ({ $ref });
const documentOf = (operation) => ({
  asyncapi: '3.0.0',
  info: { title: 'shop', version: '1.0.0' },
  channels: {
    orders: { address: 'orders', messages: { order: { payload: { type: 'string' } } } },
    answers: { address: 'answers', messages: { receipt: { payload: { type: 'string' } } } },
    anywhere: { address: null, messages: { receipt: { payload: { type: 'string' } } } },
  },
  operations: { ask: { action: 'send', channel: refer('#/channels/orders'), ...operation } },
});
const parser = new Parser();
async function judge(what, operation) {
  const { document, diagnostics } = await parser.parse(JSON.stringify(documentOf(operation)));
  // Of severity 2 there is a hint that a newer version of AsyncAPI exists.
  const said = diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version').map(({ code }) => code);
  console.log(`${what}: ${document === undefined ? 'refused' : 'accepted'}${said.length === 0 ? '' : ` (${said.join(', ')})`}`);
  return document !== undefined && said.length === 0;
}
const address = { location: '$message.header#/replyTo' };
const right = await judge('reply with an address, to a channel without one', {
  reply: { address, channel: refer('#/channels/anywhere'), messages: [refer('#/channels/anywhere/messages/receipt')] },
});
const ofOperation = await judge('operation with the message of another channel', { messages: [refer('#/channels/answers/messages/receipt')] });
const ofReply = await judge('reply with the message of another channel', {
  reply: { channel: refer('#/channels/answers'), messages: [refer('#/channels/orders/messages/order')] },
});
const twoAddresses = await judge('reply with an address, to a channel with a fixed one', { reply: { address, channel: refer('#/channels/answers') } });
const asSeen = right && !ofOperation && ofReply && twoAddresses;
console.log(asSeen ? 'as described' : 'DIFFERENT from the description');
process.exit(asSeen ? 0 : 1);
JS
timeout 30 node try.js
