# MDP 0.1 on pbdZMQ: `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.
# With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE.
suppressPackageStartupMessages(library(pbdZMQ))

args <- commandArgs(trailingOnly = TRUE)
endpoint <- args[2]
service <- args[3]
context <- zmq.ctx.new()

text <- function(given) charToRaw(given)
is <- function(frame, code) length(frame) == 1 && frame == as.raw(code)

connected <- function(type) {
  socket <- zmq.socket(context, type)
  zmq.setsockopt(socket, .pbd_env$ZMQ.SO$LINGER, 5000L)
  if (Sys.getenv("MDP_SERVER_KEY") != "") {
    zmq.setsockopt(socket, .pbd_env$ZMQ.SO$CURVE_SERVERKEY, Sys.getenv("MDP_SERVER_KEY"))
    zmq.setsockopt(socket, .pbd_env$ZMQ.SO$CURVE_PUBLICKEY, Sys.getenv("MDP_PUBLIC_KEY"))
    zmq.setsockopt(socket, .pbd_env$ZMQ.SO$CURVE_SECRETKEY, Sys.getenv("MDP_SECRET_KEY"))
  }
  zmq.connect(socket, endpoint)
  socket
}

send <- function(socket, ...) zmq.send.multipart(socket, list(...), serialize = FALSE)

# Empty after the time-out. (Of a socket with RCVTIMEO that looks like an empty frame.)
receive <- function(socket, timeout_ms) {
  zmq.poll(c(socket), .pbd_env$ZMQ.PO$POLLIN, timeout_ms)
  if (zmq.poll.get.revents(1) == 0) return(list())
  zmq.recv.multipart(socket, unserialize = FALSE)
}

worker <- function(count) {
  socket <- connected(.pbd_env$ZMQ.ST$DEALER)
  send(socket, raw(0), text("MDPW01"), as.raw(1), text(service))
  while (count > 0) {
    frames <- receive(socket, 1000L)
    if (length(frames) == 0) {
      send(socket, raw(0), text("MDPW01"), as.raw(4))
    } else if (is(frames[[3]], 2)) {
      head <- list(socket, raw(0), text("MDPW01"), as.raw(3), frames[[4]], raw(0), text("r"))
      do.call(send, c(head, frames[-(1:5)]))
      count <- count - 1
    }
  }
  send(socket, raw(0), text("MDPW01"), as.raw(5))
  zmq.close(socket)
}

client <- function(body) {
  socket <- connected(.pbd_env$ZMQ.ST$REQ)
  do.call(send, c(list(socket, text("MDPC01"), text(service)), lapply(body, text)))
  shown <- vapply(receive(socket, 60000L), function(frame) sprintf('"%s"', rawToChar(frame)), "")
  cat(sprintf('{"event":"reply","frames":[%s]}\n', paste(shown, collapse = ",")))
  zmq.close(socket)
}

if (args[1] == "worker") worker(as.integer(args[4])) else client(args[-(1:3)])
zmq.ctx.destroy(context)
