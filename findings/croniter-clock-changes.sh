#!/usr/bin/env bash
# croniter 1.3.5 (Debian 12): "30 2 * * *" when the clock changes.
#
# Expected: in spring, when 02:30 is left out, the job is due once or not at all, in autumn once or twice, and on the
# next day at 02:30.
#
# Seen: with pytz it is due four times in two days in spring; with zoneinfo at a time that does not exist, and in
# autumn an hour late on the day after.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-croniter=1.3.5-3 python3-tz python3-dateutil python3-six python3-natsort
for package in *.deb; do dpkg -x "$package" root; done
export PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
cat >try.py <<'P'
import datetime
import sys
import zoneinfo

import pytz
from croniter import croniter

NAME = "Europe/Berlin"
ZONES = {"pytz": pytz.timezone(NAME).localize, "zoneinfo": lambda at: at.replace(tzinfo=zoneinfo.ZoneInfo(NAME))}
SEEN = {
    ("pytz", 2027): "28 02:30+0200, 28 03:30+0200, 29 01:30+0200, 29 02:30+0200, 30 02:30+0200",
    ("zoneinfo", 2027): "28 02:30+0100, 29 02:30+0200, 30 02:30+0200",
    ("pytz", 2026): "25 02:30+0200, 26 02:30+0100, 27 02:30+0100",
    ("zoneinfo", 2026): "25 02:30+0200, 26 03:30+0100, 27 02:30+0100",
}
same = True
for (zone, year), seen in SEEN.items():
    start = datetime.datetime(2027, 3, 27, 12) if year == 2027 else datetime.datetime(2026, 10, 24, 12)
    times = croniter("30 2 * * *", ZONES[zone](start))
    got = ", ".join(times.get_next(datetime.datetime).strftime("%d %H:%M%z") for _ in seen.split(", "))
    print(f"{'spring' if year == 2027 else 'autumn'} {zone:9}{got}")
    same = same and got == seen
sys.exit(0 if same else 1)
P
timeout 60 /usr/bin/python3 try.py || { echo 'CHANGED: croniter counts the nights of the change differently' >&2; exit 1; }
echo 'as described: too often in spring (pytz), an hour late the day after the change in autumn (zoneinfo)'
