#!/bin/sh
# Managed by Bascule: how old PostgreSQL's backups are, and whether WAL waits.
exec {{program}} metrics
