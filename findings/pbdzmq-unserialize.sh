#!/usr/bin/env bash
# pbdZMQ 0.3.9 (R, Debian 12): zmq.recv.multipart of a message that is not of R.
#
# Expected: an error, and the message is gone: the next call begins with the next one.
#
# Seen: the error comes at the first frame, and the rest of the message stays: the next call takes it for a message.
# With unserialize = FALSE all frames come.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download r-cran-pbdzmq=0.3.9+dfsg-1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")"
export R_LIBS="$dir/root/usr/lib/R/site-library"
cat >try.R <<'R'
suppressMessages(library(pbdZMQ))
context <- init.context()
pull <- init.socket(context, "ZMQ_PULL"); bind.socket(pull, "ipc://s")
push <- init.socket(context, "ZMQ_PUSH"); connect.socket(push, "ipc://s")
send <- function(...) zmq.send.multipart(push, lapply(c(...), charToRaw), serialize = FALSE)
send("first", "second", "third")
send("next", "one")
Sys.sleep(0.3)
problem <- tryCatch({ zmq.recv.multipart(pull); "none" }, error = conditionMessage)
cat("the error:", problem, "\n")
read <- function() paste(vapply(zmq.recv.multipart(pull, unserialize = FALSE), rawToChar, ""), collapse = " | ")
one <- read(); two <- read()
cat("the receive after it:", one, "\n")
cat("the one after that:", two, "\n")
cat("verdict", problem != "none" && one == "second | third" && two == "next | one", "\n")
R
timeout 40 Rscript --vanilla try.R >out 2>err </dev/null || true
cat out
grep -q '^verdict TRUE' out || { sed -n 1,5p err >&2; echo 'CHANGED: the rest of the message is not left behind any more' >&2; exit 1; }
echo 'as described: after the error the rest of the message comes as a message of its own'
