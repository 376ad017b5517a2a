#!/usr/bin/env bash
# jzmq 3.1.0 (libzmq-java, Debian 12): ZMsg.recvMsg on a socket with a time-out, when nothing comes.
#
# Expected: null, as recv() and recvStr() of the same socket, and as JeroMQ and the programs of the Guide have it.
#
# Seen: a NullPointerException out of recvMsg. ZFrame.recvFrame gives a frame without data. So the first idle interval
# ends a worker of the Guide: poll first, or use recv() and hasReceiveMore().
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download libzmq-java=3.1.0-16 libzmq-jni=3.1.0-16 libjeromq-java=0.3.6-1.1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
ls libzmq-java_*.deb libjeromq-java_*.deb
cat >Idle.java <<'J'
import org.zeromq.ZFrame;
import org.zeromq.ZMQ;
import org.zeromq.ZMsg;

public class Idle {
  public static void main(String[] args) {
    ZMQ.Socket socket = ZMQ.context(1).socket(ZMQ.PULL);
    socket.setReceiveTimeOut(100);
    socket.bind("inproc://idle");
    System.out.println("recv " + socket.recv());
    System.out.println("recvStr " + socket.recvStr());
    ZFrame frame = ZFrame.recvFrame(socket);
    System.out.println("ZFrame.recvFrame " + (frame == null ? "null" : "a frame, hasData " + frame.hasData()));
    try {
      System.out.println("ZMsg.recvMsg " + ZMsg.recvMsg(socket));
    } catch (NullPointerException error) {
      System.out.println("ZMsg.recvMsg throws " + error.getClass().getSimpleName());
    }
    System.exit(0);
  }
}
J
library=$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")
export LD_LIBRARY_PATH="$library"
jni=$(dirname "$dir/$(find root -name 'libjzmq.so' | head -1)")
run() { rm -f Idle.class; javac -cp "$1" Idle.java 2>javac.log; timeout 30 java -Djava.library.path="$jni" -cp "$1:." Idle; }
run "root/usr/share/java/zmq.jar" | sed 's/^/jzmq:   /' | tee jzmq.out
run "root/usr/share/java/jeromq.jar" | sed 's/^/JeroMQ: /' | tee jeromq.out
grep -q 'ZMsg.recvMsg throws NullPointerException' jzmq.out && grep -q 'a frame, hasData false' jzmq.out && grep -q 'recv null' jzmq.out && grep -q 'ZMsg.recvMsg null' jeromq.out ||
  { echo 'CHANGED: recvMsg of jzmq gives null' >&2; exit 1; }
echo 'as described: the exception comes where null should'
