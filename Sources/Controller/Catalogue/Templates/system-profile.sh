# Managed by Bascule: what every login shell begins with.
ulimit -c 0 2>/dev/null || true
umask 027
# An idle shell ends by itself.
case $- in *i*)
    TMOUT={{idle}}
    readonly TMOUT
    export TMOUT
    ;;
esac
