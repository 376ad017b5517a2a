# MDP 0.1 on ZMQ::FFI: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.
# With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE.
use strict;
use warnings;
use JSON::PP;
use ZMQ::FFI;
use ZMQ::FFI::Constants qw(ZMQ_DEALER ZMQ_REQ ZMQ_LINGER ZMQ_RCVTIMEO
    ZMQ_CURVE_SERVERKEY ZMQ_CURVE_PUBLICKEY ZMQ_CURVE_SECRETKEY);

my ($role, $endpoint, $service, @rest) = @ARGV;
my $context = ZMQ::FFI->new();

sub connected {
    my ($type, $timeout_ms) = @_;
    my $socket = $context->socket($type);
    $socket->set(ZMQ_LINGER, 'int', 5000);
    $socket->set(ZMQ_RCVTIMEO, 'int', $timeout_ms);
    if (exists $ENV{MDP_SERVER_KEY}) {
        $socket->set(ZMQ_CURVE_SERVERKEY, 'string', $ENV{MDP_SERVER_KEY});
        $socket->set(ZMQ_CURVE_PUBLICKEY, 'string', $ENV{MDP_PUBLIC_KEY});
        $socket->set(ZMQ_CURVE_SECRETKEY, 'string', $ENV{MDP_SECRET_KEY});
    }
    $socket->connect($endpoint);
    return $socket;
}

sub worker {
    my ($count) = @_;
    my $socket = connected(ZMQ_DEALER, 1000);
    $socket->send_multipart(['', 'MDPW01', "\x01", $service]);
    while ($count > 0) {
        # It dies after the time-out.
        my @frames = eval { $socket->recv_multipart() };
        if (!@frames) {
            $socket->send_multipart(['', 'MDPW01', "\x04"]);
        } elsif ($frames[2] eq "\x02") {
            my (undef, undef, undef, $client, undef, @body) = @frames;
            $socket->send_multipart(['', 'MDPW01', "\x03", $client, '', 'perl', @body]);
            $count--;
        }
    }
    $socket->send_multipart(['', 'MDPW01', "\x05"]);
    $socket->close();
}

sub client {
    my $socket = connected(ZMQ_REQ, 60000);
    $socket->send_multipart(['MDPC01', $service, @_]);
    my @frames = $socket->recv_multipart();
    print encode_json({ event => 'reply', frames => \@frames }), "\n";
    $socket->close();
}

$role eq 'worker' ? worker(@rest) : client(@rest);
