// MDP 0.1 on JeroMQ: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.
// Debian's JeroMQ 0.3 speaks ZMTP 2.0. `router ENDPOINT` is a ROUTER that sends each message back.
// Debian's jzmq has the same classes.

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.zeromq.ZMQ;

public final class Guide {
    private final ZMQ.Context context = ZMQ.context(1);
    private final String endpoint;
    private final String service;

    private Guide(String endpoint, String service) {
        this.endpoint = endpoint;
        this.service = service;
    }

    public static void main(String[] args) {
        Guide guide = new Guide(args[1], args.length > 2 ? args[2] : "");
        if (args[0].equals("router")) {
            guide.router();
        } else if (args[0].equals("worker")) {
            guide.worker(Integer.parseInt(args[3]));
        } else {
            guide.client(Arrays.asList(args).subList(3, args.length));
        }
        guide.context.term();
    }

    private ZMQ.Socket connected(int type, int timeoutMs) {
        ZMQ.Socket socket = context.socket(type);
        socket.setLinger(5000);
        socket.setReceiveTimeOut(timeoutMs);
        socket.connect(endpoint);
        return socket;
    }

    /** Empty after the time-out. */
    private static List<byte[]> received(ZMQ.Socket socket) {
        List<byte[]> frames = new ArrayList<>();
        for (byte[] frame = socket.recv(0); frame != null; frame = socket.recv(0)) {
            frames.add(frame);
            if (!socket.hasReceiveMore()) break;
        }
        return frames;
    }

    private static void send(ZMQ.Socket socket, List<byte[]> frames) {
        for (int index = 0; index < frames.size(); index++) {
            socket.send(frames.get(index), index + 1 < frames.size() ? ZMQ.SNDMORE : 0);
        }
    }

    /** An empty frame, the header, the command and what follows it. */
    private static List<byte[]> command(int code, byte[]... rest) {
        List<byte[]> frames = new ArrayList<>();
        frames.add(new byte[0]);
        frames.add("MDPW01".getBytes());
        frames.add(new byte[] {(byte) code});
        frames.addAll(Arrays.asList(rest));
        return frames;
    }

    private void worker(int count) {
        ZMQ.Socket socket = connected(ZMQ.DEALER, 1000);
        send(socket, command(1, service.getBytes()));
        while (count > 0) {
            List<byte[]> frames = received(socket);
            if (frames.isEmpty()) {
                send(socket, command(4));
            } else if (frames.get(2)[0] == 2) {
                List<byte[]> reply = command(3, frames.get(3), new byte[0], "java".getBytes());
                reply.addAll(frames.subList(5, frames.size()));
                send(socket, reply);
                count--;
            }
        }
        send(socket, command(5));
        socket.close();
    }

    private void router() {
        ZMQ.Socket socket = context.socket(ZMQ.ROUTER);
        socket.bind(endpoint);
        System.out.println("{\"event\":\"bound\"}");
        while (true) send(socket, received(socket));
    }

    private void client(List<String> body) {
        ZMQ.Socket socket = connected(ZMQ.REQ, 60_000);
        List<byte[]> request = new ArrayList<>();
        request.add("MDPC01".getBytes());
        request.add(service.getBytes());
        for (String frame : body) request.add(frame.getBytes());
        send(socket, request);
        List<String> answer = new ArrayList<>();
        for (byte[] frame : received(socket)) answer.add('"' + new String(frame) + '"');
        System.out.printf("{\"event\":\"reply\",\"frames\":%s}%n", answer);
        socket.close();
    }
}
