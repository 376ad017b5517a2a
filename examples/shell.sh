#!/bin/sh
# Any command is a service, and any shell a client: sh shell.sh [ENDPOINT]
# MAJORDOMO names the command, if it is not `majordomo`.
set -eu
endpoint=${1:-tcp://127.0.0.1:5555}
majordomo=${MAJORDOMO:-majordomo}

$majordomo worker upper --endpoint "$endpoint" -- tr a-z A-Z &
worker=$!
trap 'kill "$worker"' EXIT

$majordomo request upper hello --wait --endpoint "$endpoint"
