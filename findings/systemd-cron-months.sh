#!/usr/bin/env bash
# systemd-cron 1.15.19 (Debian 12): oct, nov, dec.
#
# Expected: the months 10, 11 and 12.
#
# Seen: oct is left out with its line, nov is month 10, dec is month 11.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download systemd-cron=1.15.19-5
dpkg -x systemd-cron_*.deb root
printf '0 0 1 %s * root /bin/true\n' sep oct nov dec 10 11 12 >months
mkdir out
cat >try.py <<'P'
import importlib.machinery
import importlib.util
import sys

# The generator without its main(): it would read the machine's own crontabs.
loader = importlib.machinery.SourceFileLoader("generator", sys.argv[1])
generator = importlib.util.module_from_spec(importlib.util.spec_from_loader("generator", loader))
sys.argv = ["generator", "out"]
loader.exec_module(generator)
generator.TARGET_DIR = "out"
same = True
SEEN = {"sep": [9], "oct": [], "nov": [10], "dec": [11], "10": [10], "11": [11], "12": [12]}
for job in generator.parse_crontab("months", withuser=True):
    name = job["l"].split()[3]
    print(f"{name:4} months {job['M']}")
    same = same and job["M"] == SEEN.pop(name)
sys.exit(0 if same and not SEEN else 1)
P
timeout 30 /usr/bin/python3 try.py root/lib/systemd/system-generators/systemd-crontab-generator 2>log || { sed -n 1,5p log >&2; echo 'CHANGED: systemd-cron knows the twelve months' >&2; exit 1; }
echo 'as described: oct is unknown, nov is month 10, dec is month 11'
