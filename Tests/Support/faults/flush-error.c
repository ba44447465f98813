// Makes fdatasync fail with EIO while /run/flush-fails is there, and counts the calls in /run/flush-calls.
// build: cc -shared -fPIC -o flush-error.so flush-error.c    usage: LD_PRELOAD=flush-error.so PROGRAM
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int file) {
    int calls = open("/run/flush-calls", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (calls >= 0) {
        (void)!write(calls, ".", 1);
        close(calls);
    }
    if (access("/run/flush-fails", F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fdatasync, file);
}
