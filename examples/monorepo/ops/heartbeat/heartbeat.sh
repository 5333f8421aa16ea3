#!/bin/sh
# Say that we live, once a line read from standard input.
while read -r line; do
  echo "alive: $line"
done
