#!/bin/sh
# Managed by Bascule: stricter options for what the kernel mounts by itself. "off" goes back to Debian's.
set -eu
case ${1:-} in
on)
    # Nobody sees other people's processes, nor what stands in their command lines, but root and the group proc.
    mount -o "remount,nosuid,nodev,noexec,hidepid=2,gid=$(getent group proc | cut -d: -f3)" /proc
    # Memory that everybody may write to, and device nodes: nothing there is a program.
    mount -o remount,nosuid,nodev,noexec /dev/shm
    mount -o remount,nosuid,noexec /dev
    ;;
off)
    mount -o remount,nosuid,nodev,noexec,hidepid=0,gid=0 /proc
    mount -o remount,nosuid,nodev,exec /dev/shm
    mount -o remount,nosuid,exec /dev
    ;;
*) exit 64 ;;
esac
