#!/usr/bin/env bash
# Runs parts of the project on other systems, as root, against the program that this clone has built (npm run build):
#
#     scripts/platforms.sh python SUITE    the tests of the Python package, on the Python of a Debian: trixie, forky, sid
#     scripts/platforms.sh types           what another type checker, pyright, says of the Python package
#
# What it ran stands in docs/stability.md. It needs mmdebstrap and systemd-container.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# debian SUITE PACKAGES [OPTION…]: makes a root file system.
debian() {
  local suite=$1 packages=$2
  shift 2
  # (A suite that is not released yet may come from a mirror that was last updated weeks ago.)
  mmdebstrap --quiet --variant=apt --include="$packages" --dpkgopt=force-unsafe-io --aptopt='Acquire::Check-Valid-Until "false"' \
    "$@" "$suite" "$root" http://deb.debian.org/debian
}

# inside FOLDER COMMAND…: runs a command in a folder of this clone there, which it can read only, with a loopback of its own.
inside() {
  local folder=$PWD/$1
  shift
  systemd-nspawn --quiet --console=pipe --private-network --register=no --keep-unit --as-pid2 --directory="$root" --bind-ro="$PWD" --chdir="$folder" \
    --setenv=PATH="$PWD/node_modules/.bin:/usr/local/bin:/usr/bin:/bin" --setenv=LC_ALL=C.UTF-8 --setenv=PYTHONDONTWRITEBYTECODE=1 env --unset=NOTIFY_SOCKET "$@"
}

case "${1-} ${2-}" in
  'python '?*)
    debian "$2" python3,python3-zmq,python3-pytest,python3-gevent,gunicorn
    inside . python3 -c 'import sys, zmq; print("Python", sys.version.split()[0], "with pyzmq", zmq.__version__)'
    tests=(python3 -m pytest --quiet -o cache_dir=/tmp/pytest)
    # They depend on real time: what failed may run once more.
    inside packages/python "${tests[@]}" || inside packages/python "${tests[@]}" --last-failed
    ;;
  'types ')
    cd packages/python
    npx --yes pyright@1.1.414 --pythonpath "$(type -P python3)" majordomo_client
    PYTHONPATH=$PWD npx --yes pyright@1.1.414 --pythonpath "$(type -P python3)" --verifytypes majordomo_client --ignoreexternal | grep score
    ;;
  *)
    sed --quiet '2,/^set/{/^#/s/^# \?//p}' "$0" >&2
    exit 64
    ;;
esac
