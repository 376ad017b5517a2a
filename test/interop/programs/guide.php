<?php
// MDP 0.1 on php-zmq: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.
// With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE.
// The worker's REPLY has no empty frame after the client's address, as that of the Guide's PHP worker.

[, $role, $endpoint, $service] = $argv;
$rest = array_slice($argv, 4);

function connected(int $type, string $endpoint, int $timeoutMs): ZMQSocket
{
    $socket = new ZMQSocket(new ZMQContext(), $type);
    $socket->setSockOpt(ZMQ::SOCKOPT_LINGER, 5000);
    $socket->setSockOpt(ZMQ::SOCKOPT_RCVTIMEO, $timeoutMs);
    if (getenv('MDP_SERVER_KEY') !== false) {
        $socket->setSockOpt(ZMQ::SOCKOPT_CURVE_SERVERKEY, getenv('MDP_SERVER_KEY'));
        $socket->setSockOpt(ZMQ::SOCKOPT_CURVE_PUBLICKEY, getenv('MDP_PUBLIC_KEY'));
        $socket->setSockOpt(ZMQ::SOCKOPT_CURVE_SECRETKEY, getenv('MDP_SECRET_KEY'));
    }
    $socket->connect($endpoint);
    return $socket;
}

function worker(string $endpoint, string $service, int $count): void
{
    $socket = connected(ZMQ::SOCKET_DEALER, $endpoint, 1000);
    $socket->sendMulti(['', 'MDPW01', "\x01", $service]);
    while ($count > 0) {
        $frames = $socket->recvMulti();
        if ($frames === false || $frames === null) {
            $socket->sendMulti(['', 'MDPW01', "\x04"]);
        } elseif ($frames[2] === "\x02") {
            $body = array_slice($frames, 5);
            $socket->sendMulti(['', 'MDPW01', "\x03", $frames[3], 'php', ...$body]);
            $count--;
        }
    }
    $socket->sendMulti(['', 'MDPW01', "\x05"]);
}

function client(string $endpoint, string $service, array $body): void
{
    $socket = connected(ZMQ::SOCKET_REQ, $endpoint, 60000);
    $socket->sendMulti(['MDPC01', $service, ...$body]);
    echo json_encode(['event' => 'reply', 'frames' => $socket->recvMulti()]), "\n";
}

if ($role === 'worker') {
    worker($endpoint, $service, (int) $rest[0]);
} else {
    client($endpoint, $service, $rest);
}
