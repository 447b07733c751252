#!/bin/sh
# library_symbols.sh OBJDUMP LIBRARY: the library exports its two entry points only, and loads on glibc 2.28 with gcc 8's libstdc++.
set -eu
objdump=$1 library=$2
symbols=$("$objdump" -T "$library")
failed=0

exported=$(echo "$symbols" | awk '$0 !~ /\*UND\*/ && $1 ~ /^[0-9a-f]+$/ && $2 ~ /[gw]/ {print $NF}' | sort | paste -sd ' ')
if [ "$exported" != "JNI_OnLoad RegisterCustomOps" ]; then
  echo "$library: expected the exports JNI_OnLoad RegisterCustomOps, found $exported"
  failed=1
fi

# newest PREFIX LIMIT: the highest needed version of a family must not be above LIMIT.
newest() {
  found=$(echo "$symbols" | grep -o "${1}_[0-9][0-9.]*" | sed "s/${1}_//" | sort -uV | tail -n 1)
  if [ -z "$found" ]; then
    echo "$library: expected symbols of ${1}, found none; is it a shared library of Linux?"
    failed=1
  elif [ "$(printf '%s\n%s\n' "$found" "$2" | sort -V | tail -n 1)" != "$2" ]; then
    echo "$library: expected ${1} symbols up to $2, found $(echo "$symbols" | grep "${1}_$found" | awk '{print $NF}' | paste -sd ' ') of $found"
    failed=1
  fi
}
newest GLIBC 2.28
newest GLIBCXX 3.4.22
newest CXXABI 1.3.11
exit $failed
