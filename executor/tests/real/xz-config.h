// The crate's own configuration of liblzma, without threads.
#include "config.h"
#undef MYTHREAD_POSIX
// WASI has no signals; liblzma only holds them back and lets them through again.
typedef unsigned long sigset_t;
#define sigprocmask(how, set, old) 0
