#!/usr/bin/env bash
# pbdZMQ 0.3.9 (Debian 12, R 4.2.2), zmq.getsockopt(socket, option, value): `value` says of which type the option is.
#
# Guess: it returns the option's value and leaves `value` alone, as every R function does with its arguments. So
# `zmq.getsockopt(socket, RCVMORE, 0L) == 0L` says whether a message has ended.
#
# Found: it writes into `value` where that is in memory. The caller's variable changes, and so does every variable that
# was assigned from it, without an assignment. In a compiled function both `0L` of that comparison are one constant:
# it is true after every frame, and the rest of the message is taken for the next one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download r-cran-pbdzmq=0.3.9+dfsg-1 r-base-core=4.2.2.20221110-2 \
  libzmq5=4.3.4-6 libsodium23 libnorm1 libpgm-5.3-0 libgssapi-krb5-2 libblas3 liblapack3 libgfortran5 libgomp1 \
  libquadmath0 libicu72 libpcre2-8-0 libtirpc3 libtre5 libcurl4 libreadline8 libdeflate0 liblzma5 libbz2-1.0 zlib1g
for each in ./*.deb; do dpkg-deb --extract "$each" files; done

cat >program.R <<'R'
suppressPackageStartupMessages(library(pbdZMQ))
cat("pbdZMQ", as.character(packageVersion("pbdZMQ")), "R", as.character(getRversion()), "\n")
context <- zmq.ctx.new()
a <- zmq.socket(context, .pbd_env$ZMQ.ST$PAIR)
b <- zmq.socket(context, .pbd_env$ZMQ.ST$PAIR)
zmq.bind(a, "inproc://pair")
zmq.connect(b, "inproc://pair")
more <- .pbd_env$ZMQ.SO$RCVMORE
send <- function() zmq.send.multipart(b, list(charToRaw("one"), charToRaw("two")), serialize = FALSE)
frame <- function() rawToChar(zmq.msg.recv(a, 0L, unserialize = FALSE))

send()
none <- 0L
kept <- none
stopifnot(frame() == "one")
asked <- zmq.getsockopt(a, more, none)
cat("asked", asked, "none", none, "kept", kept, "\n")
stopifnot(asked == 1L, none == 1L, kept == 1L)
stopifnot(frame() == "two")

ended <- compiler::cmpfun(function() zmq.getsockopt(a, more, 0L) == 0L)
send()
stopifnot(frame() == "one")
answer <- ended()
cat("the message has ended after its first frame of two:", answer, "\n")
stopifnot(answer)
stopifnot(frame() == "two")
R

export R_HOME=$PWD/files/usr/lib/R
libraries=$(find files -name '*.so*' -printf '%h\n' | sort -u | sed "s|^|$PWD/|" | paste -sd: -)
export LD_LIBRARY_PATH=$libraries R_LIBS=$PWD/files/usr/lib/R/site-library R_LIBS_SITE=
"$R_HOME/bin/exec/R" --vanilla --no-echo --file=program.R
