/*
 * Keeps a core from sleeping: what runs there gives way to any other process. It ends with the
 * process that started it.
 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "load.h"

void keep_awake(int core)
{
    struct sched_param none = {0};
    cpu_set_t cores;

    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || sched_setaffinity(0, sizeof cores, &cores) != 0
        || sched_setscheduler(0, SCHED_IDLE, &none) != 0)
        die("core %d cannot be kept awake", core);
    for (;;) {
#if defined(__x86_64__)
        /* Leaves the core's units to its other hardware thread. */
        __builtin_ia32_pause();
#endif
    }
}
