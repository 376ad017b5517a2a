#!/usr/bin/env bash
# php-zmq 1.1.3 (Debian 12): sendMulti() with a value that is no string.
#
# Expected: with an exception nothing is sent.
#
# Seen: the exception comes, and the message has been sent, with an empty frame in that place.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download php8.2-zmq=1.1.3-24 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")"
cat >try.php <<'PHP'
<?php
class Silent {}
class Failing { public function __toString(): string { throw new RuntimeException('no text'); } }

$context = new ZMQContext();
$pull = $context->getSocket(ZMQ::SOCKET_PULL);
$pull->setSockOpt(ZMQ::SOCKOPT_RCVTIMEO, 500);
$pull->bind('tcp://127.0.0.1:*');
$push = $context->getSocket(ZMQ::SOCKET_PUSH);
$push->connect($pull->getSockOpt(ZMQ::SOCKOPT_LAST_ENDPOINT));
$messages = [
    'without __toString' => ['a', new Silent(), 'c'],
    '__toString throws' => ['a', new Failing(), 'c'],
    'the last frame' => ['a', 'b', new Failing()],
];
$same = true;
foreach ($messages as $name => $message) {
    $thrown = 'nothing';
    try {
        $push->sendMulti($message);
    } catch (Throwable $error) {
        $thrown = get_class($error);
    }
    $push->sendMulti(['next']);
    $got = $pull->recvMulti();
    $next = $pull->recvMulti();
    printf("%s: thrown %s, received %s, then %s\n", $name, $thrown, json_encode($got), json_encode($next));
    $described = $name === 'the last frame' ? ['a', 'b', ''] : ['a', '', 'c'];
    $same = $same && $thrown !== 'nothing' && $got === $described && $next === ['next'];
}
exit($same ? 0 : 1);
PHP
timeout 30 php8.2 -n -d extension_dir="$(dirname "$dir/$(find root -name zmq.so | head -1)")" -d extension=zmq.so try.php || { echo 'CHANGED: an exception means that nothing was sent' >&2; exit 1; }
echo 'as described: the message goes out, with an empty frame, and the exception comes'
