#!/bin/sh
# Installs a Valkey or Redis server for the tests of ValkeyStore: only where none is there, on Debian and its kin, as root.
# It is not started as a service. Whatever happens, the tests go on: without a server, those that need one are skipped.

if command -v valkey-server >/dev/null 2>&1 || command -v redis-server >/dev/null 2>&1; then exit 0; fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then exit 0; fi

export DEBIAN_FRONTEND=noninteractive
# RUNLEVEL=1: the package's own scripts start no service.
export RUNLEVEL=1
timeout 60 apt-get update -q >/dev/null 2>&1
for package in valkey-server redis-server; do
  if timeout 120 apt-get install -y -q --no-install-recommends "$package" >/dev/null 2>&1; then break; fi
done
if command -v systemctl >/dev/null 2>&1; then
  systemctl disable --now valkey-server redis-server >/dev/null 2>&1
fi
exit 0
