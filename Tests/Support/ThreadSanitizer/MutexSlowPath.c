// The contended half of Swift's `Mutex` (Synchronization, Linux) in code that the thread sanitizer sees.
//
// The uncontended half is compiled into the caller, and the sanitizer sees its atomic operations. `_lockSlow` stands in
// the toolchain's library, which is not instrumented: a thread that had to wait would seem to hold no lock, and whatever
// it does under it would be called a race. This definition takes the library's place in sanitized test programs.
//
// Self is the lock's word (0, or the thread that holds it; the highest bit asks for a wake-up), passed as Swift passes
// self; see the documentation of `swift_context` in Clang. It spins, so nobody ever has to be woken.

#include <sched.h>
#include <stdint.h>

__attribute__((swiftcall)) void bascule_lock_slow(
    uint32_t thread, __attribute__((swift_context)) uint32_t *word)
    __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

__attribute__((swiftcall)) void bascule_lock_slow(
    uint32_t thread, __attribute__((swift_context)) uint32_t *word) {
  for (;;) {
    uint32_t nobody = 0;
    if (__atomic_compare_exchange_n(word, &nobody, thread, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    sched_yield();
  }
}
