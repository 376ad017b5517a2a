#!/bin/sh
# Starts Majordomo with the Node that came with it.
lib=$(dirname -- "$(readlink -f -- "$0")")/../lib/majordomo
exec "$lib/node" "$lib/majordomo" "$@"
