#!/usr/bin/env bash
# fugit 1.5.2 (Debian 12): the hour that comes twice in autumn.
#
# Expected: one rule for all lines.
#
# Seen: "*/30 2 * * *" is due in both hours, "0 * * * *" in one of them: two hours pass without a run of an hourly
# job.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download ruby-fugit=1.5.2-1 ruby-et-orbi ruby-raabro ruby-tzinfo ruby-concurrent
for package in *.deb; do dpkg -x "$package" root; done
RUBYLIB=$(find "$dir/root" -type d \( -name vendor_ruby -o -path '*/gems/*/lib' -o -path '*/gems/*/lib/concurrent-ruby' \) | paste -sd:)
export RUBYLIB
cat >try.rb <<'R'
require 'fugit'
def times(line, from, count)
  at = EtOrbi.parse(from)
  Array.new(count) { at = Fugit.parse_cron("#{line} Europe/Berlin").next_time(at); at.strftime('%d %H:%M %z') }
end
half = times('*/30 2 * * *', '2026-10-24 12:00 Europe/Berlin', 5)
hourly = times('0 * * * *', '2026-10-25 00:30 Europe/Berlin', 4)
once = times('30 2 * * *', '2026-10-24 12:00 Europe/Berlin', 2)
puts "fugit #{Fugit::VERSION}"
puts "*/30 2 * * *  #{half.join(', ')}"
puts "0 * * * *     #{hourly.join(', ')}"
puts "30 2 * * *    #{once.join(', ')}"
exit(half == ['25 02:00 +0200', '25 02:30 +0200', '25 02:00 +0100', '25 02:30 +0100', '26 02:00 +0100'] &&
     hourly == ['25 01:00 +0200', '25 02:00 +0200', '25 03:00 +0100', '25 04:00 +0100'] &&
     once == ['25 02:30 +0200', '26 02:30 +0100'] ? 0 : 1)
R
timeout 60 ruby try.rb || { echo 'CHANGED: fugit has one rule for the doubled hour' >&2; exit 1; }
echo 'as described: half-hourly runs twice as often, hourly misses an hour'
