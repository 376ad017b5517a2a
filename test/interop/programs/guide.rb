# MDP 0.1 on ffi-rzmq: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.
# With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE.
require 'ffi-rzmq'
require 'json'

role, endpoint, service, *rest = ARGV
CONTEXT = ZMQ::Context.new

def connected(type, endpoint, timeout_ms)
  socket = CONTEXT.socket(type)
  socket.setsockopt(ZMQ::LINGER, 5000)
  socket.setsockopt(ZMQ::RCVTIMEO, timeout_ms)
  if ENV.key?('MDP_SERVER_KEY')
    socket.setsockopt(ZMQ::CURVE_SERVERKEY, ENV['MDP_SERVER_KEY'])
    socket.setsockopt(ZMQ::CURVE_PUBLICKEY, ENV['MDP_PUBLIC_KEY'])
    socket.setsockopt(ZMQ::CURVE_SECRETKEY, ENV['MDP_SECRET_KEY'])
  end
  socket.connect(endpoint)
  socket
end

def worker(endpoint, service, count)
  socket = connected(ZMQ::DEALER, endpoint, 1000)
  socket.send_strings(['', 'MDPW01', "\x01", service])
  while count > 0
    frames = []
    if socket.recv_strings(frames) < 0
      socket.send_strings(['', 'MDPW01', "\x04"])
    elsif frames[2] == "\x02"
      socket.send_strings(['', 'MDPW01', "\x03", frames[3], '', 'ruby', *frames.drop(5)])
      count -= 1
    end
  end
  socket.send_strings(['', 'MDPW01', "\x05"])
  socket.close
end

def client(endpoint, service, body)
  socket = connected(ZMQ::REQ, endpoint, 60_000)
  socket.send_strings(['MDPC01', service, *body])
  socket.recv_strings(frames = [])
  puts({ event: 'reply', frames: frames }.to_json)
  socket.close
end

role == 'worker' ? worker(endpoint, service, rest[0].to_i) : client(endpoint, service, rest)
CONTEXT.terminate
