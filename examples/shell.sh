#!/bin/sh
# Makes a shell command a service, and sends it a request: sh shell.sh [ENDPOINT]
# Set MAJORDOMO if the command is not called `majordomo`.
set -eu
endpoint=${1:-tcp://127.0.0.1:5555}
majordomo=${MAJORDOMO:-majordomo}

$majordomo worker upper --endpoint "$endpoint" -- tr a-z A-Z &
worker=$!
trap 'kill "$worker"' EXIT

$majordomo request upper hello --wait --endpoint "$endpoint"
