#!/bin/sh
# Pack $DATA into $BACKUP/backup.tar.gz, whole or not at all.
set -e
tar -czf "${BACKUP:=/backup}/backup.tmp" -C "${DATA:=/data}" .
mv "$BACKUP/backup.tmp" "$BACKUP/backup.tar.gz"
