// What a hostile job would try once it runs machine code of its own inside a worker.
//
// The test loads this library into a real worker process (LD_PRELOAD). When the worker starts its first thread, which is
// after it entered its cage and before it parses a byte of the module, one probe runs in its place. A probe gives 0 if it
// got through and an error number if not; the process ends at once with SUCCEEDED or REFUSED. Being killed is refusal too.
//
// Each probe needs nothing but its environment: PROBE names it, PROBE_* say what to reach for. It leaves no damage where
// it gets through: signals are number 0, the clock is set to the time that it shows, reboot has the wrong magic numbers.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { SUCCEEDED = 42, REFUSED = 43 };

static const char *text(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}
static int number(const char *name) { return atoi(text(name)); }
static pid_t parent(void) { return number("PROBE_PARENT"); }
static const char *in_dir(const char *name) {
    static char path[2][4096];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", text("PROBE_DIR"), name);
    return path[turn];
}

// 0 if a call that gives -1 on errors got through.
static int done(long result) { return result == -1 ? errno : 0; }
// Also where the kernel let it pass its check of permissions and then found fault with the arguments.
static int checked(long result) {
    return result == -1 && (errno == EPERM || errno == EACCES || errno == ENOSYS || errno == EOPNOTSUPP || errno == EMFILE) ? errno : 0;
}
static int reads(const char *path) {
    char byte;
    int fd = open(path, O_RDONLY);
    if (fd < 0) return errno;
    return read(fd, &byte, 1) == 1 ? 0 : errno ? errno : EIO;
}

// Files.
static int read_passwd(void) { return reads("/etc/passwd"); }
static int read_key(void) { return reads(text("PROBE_KEY")); }
static int read_key_below(const char *root) {
    char path[8192];
    snprintf(path, sizeof path, "%s%s", root, text("PROBE_KEY"));
    return reads(path);
}
static int read_key_by_own_root(void) { return read_key_below("/proc/self/root"); }
static int read_key_by_own_cwd(void) { return read_key_below("/proc/self/cwd"); }
static int read_of_parent(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", parent(), name);
    return reads(path);
}
static int read_key_by_parent_root(void) {
    char root[64];
    snprintf(root, sizeof root, "/proc/%d/root", parent());
    return read_key_below(root);
}
static int read_parent_environ(void) { return read_of_parent("environ"); }
static int read_parent_maps(void) { return read_of_parent("maps"); }
static int read_parent_memory(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", parent());
    return done(open(path, O_RDWR));
}
static int read_own_proc(void) { return reads("/proc/self/environ"); }
static int read_kernel_log(void) { return done(syscall(SYS_syslog, 10, NULL, 0)); }
static int list_root(void) { return done(open("/", O_RDONLY | O_DIRECTORY)); }
static int look_at_key(void) {
    struct stat found;
    return done(stat(text("PROBE_KEY"), &found));
}
static int ask_for_key(void) { return done(access(text("PROBE_KEY"), F_OK)); }
static int overwrite_key(void) { return done(open(text("PROBE_KEY"), O_WRONLY)); }
static int create_file(void) { return done(open(in_dir("new"), O_WRONLY | O_CREAT, 0600)); }
static int create_unnamed_file(void) { return done(open(text("PROBE_DIR"), O_WRONLY | O_TMPFILE, 0600)); }
static int make_folder(void) { return done(mkdir(in_dir("folder"), 0700)); }
static int make_pipe_file(void) { return done(mknod(in_dir("fifo"), S_IFIFO | 0600, 0)); }
static int unlink_file(void) { return done(unlink(in_dir("victim"))); }
static int rename_file(void) { return done(rename(in_dir("victim"), in_dir("renamed"))); }
static int link_file(void) { return done(link(in_dir("victim"), in_dir("linked"))); }
static int symlink_file(void) { return done(symlink("/etc/passwd", in_dir("symlink"))); }
static int chmod_file(void) { return done(chmod(in_dir("victim"), 0644)); }
static int chown_file(void) { return done(chown(in_dir("victim"), getuid(), getgid())); }
static int truncate_file(void) { return done(truncate(in_dir("victim"), 1)); }
static int touch_file(void) { return done(utimensat(AT_FDCWD, in_dir("victim"), NULL, 0)); }
static int set_attribute(void) { return checked(setxattr(in_dir("victim"), "user.x", "1", 1, 0)); }
static int open_by_handle(void) {
    struct { struct file_handle handle; char room[128]; } found = {.handle = {.handle_bytes = 128}};
    int mount;
    if (name_to_handle_at(AT_FDCWD, text("PROBE_KEY"), &found.handle, &mount, 0) == -1) return errno;
    int root = open("/", O_RDONLY);
    return root == -1 ? errno : done(open_by_handle_at(root, &found.handle, O_RDONLY));
}
static int reopen_for_writing(void) {
    char path[64];
    for (int fd = 0; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (fd != 1 && open(path, O_WRONLY) != -1) return 0;
    }
    return errno;
}
// A regular file that is open for writing, such as a log as standard error.
static int fill_disk(void) {
    char block[4096] = {0};
    for (int fd = 2; fd < 64; fd++) {
        struct iovec vector = {block, sizeof block};
        if (lseek(fd, 0, SEEK_CUR) != -1 && writev(fd, &vector, 1) > 0 && lseek(fd, 0, SEEK_CUR) > 0) return 0;
    }
    return EBADF;
}

// The network.
static int named(int family, const char *name, int abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path + abstract, name, sizeof address.sun_path - 2);
    int fd = socket(family, SOCK_STREAM, 0);
    return fd == -1 ? errno : done(connect(fd, (void *)&address, sizeof(sa_family_t) + abstract + strlen(name)));
}
static struct sockaddr_in loopback(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(number(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}
static int tcp_connect(void) {
    struct sockaddr_in address = loopback("PROBE_TCP");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd == -1 ? errno : done(connect(fd, (void *)&address, sizeof address));
}
static int tcp_bind(void) {
    struct sockaddr_in address = loopback("PROBE_NO_PORT");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd == -1 ? errno : done(bind(fd, (void *)&address, sizeof address));
}
static int udp_send(void) {
    struct sockaddr_in address = loopback("PROBE_UDP");
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return fd == -1 ? errno : done(sendto(fd, "x", 1, 0, (void *)&address, sizeof address));
}
static int unix_connect(void) { return named(AF_UNIX, text("PROBE_UNIX"), 0); }
static int abstract_connect(void) { return named(AF_UNIX, text("PROBE_ABSTRACT"), 1); }
static int netlink(void) { return done(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)); }
static int raw_socket(void) { return done(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static int packet_socket(void) { return done(socket(AF_PACKET, SOCK_RAW, 0)); }
static int socket_pair(void) {
    int pair[2];
    return done(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

// Other processes.
static int plain_fork(void) {
    long child = syscall(SYS_fork);
    if (child == 0) _exit(0);
    return done(child);
}
static int clone_process(void) {
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return done(child);
}
static int clone3_process(void) {
    uint64_t arguments[11] = {0};
    arguments[4] = SIGCHLD;
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0) _exit(0);
    return done(child);
}
static int clone_into_namespaces(void) {
    long child = syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return done(child);
}
static int fork_bomb(void) {
    int made = 0;
    for (; made < 200; made++) {
        long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0) _exit(0);
        if (child == -1) break;
    }
    return made == 200 ? 0 : errno;
}
// Twice forked, a session of its own, deaf to signals: it writes its number where the test looks for it.
static int outlive(void) {
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == -1) return errno;
    if (child == 0) {
        setsid();
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        prctl(PR_SET_PDEATHSIG, 0);
        if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != 0) _exit(0);
        for (int fd = 0; fd < 3; fd++) close(fd);
        alarm(20);
        for (;;) pause();
    }
    return done(waitpid(child, NULL, 0));
}
static int execute(void) {
    char *arguments[] = {"/bin/sh", "-c", "exit 42", NULL};
    return done(execve("/bin/sh", arguments, NULL));
}
static int execute_from_memory(void) {
    char byte[65536];
    int from = open("/bin/sh", O_RDONLY), to = syscall(SYS_memfd_create, "x", 0);
    if (from == -1 || to == -1) return errno;
    for (ssize_t got; (got = read(from, byte, sizeof byte)) > 0;)
        if (write(to, byte, got) != got) return errno;
    char *arguments[] = {"sh", "-c", "exit 42", NULL};
    return done(syscall(SYS_execveat, to, "", arguments, NULL, AT_EMPTY_PATH));
}
static int memory_file(void) { return done(syscall(SYS_memfd_create, "x", 0)); }
static int signal_parent(void) { return done(kill(parent(), 0)); }
static int signal_parent_thread(void) { return done(syscall(SYS_tgkill, parent(), parent(), 0)); }
static int signal_everyone(void) { return done(kill(-1, 0)); }
static int queue_signal(void) {
    siginfo_t info = {.si_code = SI_QUEUE};
    return done(syscall(SYS_rt_sigqueueinfo, parent(), 0, &info));
}
static int open_parent(void) { return done(syscall(SYS_pidfd_open, parent(), 0)); }
static int signal_parent_by_descriptor(void) {
    int fd = syscall(SYS_pidfd_open, parent(), 0);
    return fd == -1 ? errno : done(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
}
static int take_descriptor_of_parent(void) {
    int fd = syscall(SYS_pidfd_open, parent(), 0);
    return fd == -1 ? errno : done(syscall(SYS_pidfd_getfd, fd, 0, 0));
}
static int trace_parent(void) { return done(ptrace(PTRACE_SEIZE, parent(), 0, 0)); }
static int be_traced(void) { return done(ptrace(PTRACE_TRACEME, 0, 0, 0)); }
static int read_memory_of_parent(void) {
    char here[8];
    struct iovec own = {here, 8}, other = {(void *)8, 8};
    return process_vm_readv(parent(), &own, 1, &other, 1, 0) == -1 && errno != EFAULT ? errno : 0;
}
static int write_memory_of_parent(void) {
    char here[8];
    struct iovec own = {here, 8}, other = {(void *)8, 8};
    return process_vm_writev(parent(), &own, 1, &other, 1, 0) == -1 && errno != EFAULT ? errno : 0;
}
static int limits_of_parent(void) {
    struct rlimit limit;
    return done(prlimit(parent(), RLIMIT_NOFILE, NULL, &limit));
}
static int compare_with_parent(void) { return done(syscall(SYS_kcmp, getpid(), parent(), 2, 0, 0)); }

// The machine.
static int mount_folder(void) { return done(mount("none", "/mnt", "tmpfs", 0, "size=4k")) ?: done(umount2("/mnt", 0)); }
static int unmount_nothing(void) { return checked(umount2("/nonexistent", 0)); }
static int new_mount_api(void) { return done(syscall(SYS_fsopen, "tmpfs", 0)); }
static int pivot(void) { return checked(syscall(SYS_pivot_root, "/nonexistent", "/nonexistent")); }
static int change_root(void) { return done(chroot("/")); }
static int unshare_mounts(void) { return done(unshare(CLONE_NEWNS)); }
static int unshare_user(void) { return done(unshare(CLONE_NEWUSER)); }
static int enter_namespace(void) {
    int fd = syscall(SYS_pidfd_open, parent(), 0);
    return fd == -1 ? errno : done(setns(fd, CLONE_NEWNET));
}
static int set_host_name(void) {
    struct utsname name;
    return done(uname(&name)) ?: done(sethostname(name.nodename, strlen(name.nodename)));
}
static int set_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return done(clock_settime(CLOCK_REALTIME, &now));
}
static int reboot_badly(void) { return checked(syscall(SYS_reboot, 0, 0, 0, 0)); }
static int load_kernel(void) { return checked(syscall(SYS_kexec_load, 0, 1000, NULL, 0)); }
static int load_module(void) { return checked(syscall(SYS_init_module, NULL, 0, "")); }
static int load_module_file(void) { return checked(syscall(SYS_finit_module, -1, "", 0)); }
static int swap_on(void) { return checked(syscall(SYS_swapon, "/nonexistent", 0)); }
static int account(void) { return checked(syscall(SYS_acct, "/nonexistent")); }
static int quota(void) { return checked(syscall(SYS_quotactl, 0x80000100, NULL, 0, NULL)); }
static int port_access(void) { return done(syscall(SYS_ioperm, 0x80, 1, 1)); }
static int change_personality(void) { return done(syscall(SYS_personality, 0xffffffff)); }
static int change_segments(void) { char room[16]; return done(syscall(SYS_modify_ldt, 0, room, sizeof room)); }
static int push_terminal(void) { return ioctl(0, TIOCSTI, "x") == -1 && errno != ENOTTY && errno != EINVAL ? errno : 0; }
static int any_ioctl(void) { int count; return done(ioctl(0, FIONREAD, &count)); }
static int watch_files(void) { return done(inotify_init1(0)); }
static int watch_all_files(void) { return done(syscall(SYS_fanotify_init, 0, 0)); }
static int shared_memory(void) { return done(syscall(SYS_shmget, IPC_PRIVATE, 4096, 0600 | IPC_CREAT)); }
static int message_queue(void) { return done(syscall(SYS_msgget, IPC_PRIVATE, 0600 | IPC_CREAT)); }
static int semaphores(void) { return done(syscall(SYS_semget, IPC_PRIVATE, 1, 0600 | IPC_CREAT)); }
static int posix_queue(void) { return done(syscall(SYS_mq_open, "probe", O_RDWR | O_CREAT, 0600, NULL)) ?: done(syscall(SYS_mq_unlink, "probe")); }
static int add_a_key(void) { return done(syscall(SYS_add_key, "user", "probe", "x", 1, -3)); }
static int key_control(void) { return done(syscall(SYS_keyctl, 0, -3, 1)); }
static int ask_for_a_key(void) { return checked(syscall(SYS_request_key, "user", "nothing of this name", NULL, 0)); }
static int ring(void) {
    char parameters[256] = {0};
    return done(syscall(SYS_io_uring_setup, 4, parameters));
}
static int bpf(void) {
    uint32_t map[18] = {2, 4, 4, 1};
    return done(syscall(SYS_bpf, 0, map, sizeof map));
}
static int performance(void) {
    char attributes[128] = {0};
    ((uint32_t *)attributes)[0] = 1;
    ((uint32_t *)attributes)[1] = sizeof attributes;
    return done(syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0));
}
static int page_faults(void) { return done(syscall(SYS_userfaultfd, 1)); }
static int secret_memory(void) { return done(syscall(SYS_memfd_secret, 0)); }
static int event_descriptor(void) { return done(syscall(SYS_eventfd2, 0, 0)); }
static int new_pipe(void) { int pair[2]; return done(pipe(pair)); }
static int more_descriptors(void) { return done(dup(0)); }

// The cage itself.
static int be_dumpable(void) { return done(prctl(PR_SET_DUMPABLE, 1)); }
static int outlive_parent(void) { return done(prctl(PR_SET_PDEATHSIG, 0)); }
static int be_traced_by_all(void) { return done(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY)); }
static int new_filter(void) {
    struct { uint16_t code; uint8_t yes, no; uint32_t value; } allow = {6, 0, 0, 0x7fff0000};
    struct { uint16_t length; void *filter; } program = {1, &allow};
    return done(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) ?: done(syscall(SYS_seccomp, 1, 0, &program));
}
static int new_landlock(void) { return done(syscall(SYS_landlock_create_ruleset, NULL, 0, 1)); }
static int become_root(void) { return done(syscall(SYS_setresuid, 0, 0, 0)); }
static int set_groups(void) { return done(syscall(SYS_setgroups, 0, NULL)); }
static int take_capabilities(void) {
    uint32_t header[2] = {0x20080522, 0}, data[6] = {1u << 21, 1u << 21, 0, 0, 0, 0};
    return done(syscall(SYS_capset, header, data));
}
static int raise_limit(void) {
    struct rlimit limit = {1024, 1024};
    return done(setrlimit(RLIMIT_NOFILE, &limit));
}
static int new_session(void) { return checked(setsid()); }
static int small_calls(void) { return done(syscall(0x40000000 | SYS_getppid)); }
static int old_calls(void) {
    long result;
    // getpid of the 32-bit interface.
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? 0 : ENOSYS;
}

// Memory and threads.
static int takes(size_t length, int protection, int flags) {
    return mmap(NULL, length, protection, MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0) == MAP_FAILED ? errno : 0;
}
static int private_memory(void) { return takes(64ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE); }
static int memory_that_is_shared(void) { return takes(64ul << 30, PROT_READ | PROT_WRITE, MAP_SHARED); }
static int memory_that_grows_down(void) { return takes(64ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN); }
static int memory_made_writable(void) {
    void *at = mmap(NULL, 32ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? errno : done(mprotect(at, 32ul << 30, PROT_READ | PROT_WRITE));
}
static int addresses(void) { return takes(1ul << 42, PROT_NONE, MAP_PRIVATE); }
static int lock_memory(void) { return done(mlockall(MCL_FUTURE)); }

static int (*real_pthread_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static void *wait_for_ever(void *unused) {
    static int word;
    for (;;) syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0);
    return unused;
}
static int thread_bomb(void) {
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int made = 0; made < 300; made++) {
        int error = real_pthread_create(&thread, &small, wait_for_ever, NULL);
        if (error) return error;
    }
    return 0;
}

#define PROBE(name) {#name, name}
static const struct { const char *name; int (*run)(void); } PROBES[] = {
    PROBE(read_passwd), PROBE(read_key), PROBE(read_key_by_own_root), PROBE(read_key_by_own_cwd),
    PROBE(read_key_by_parent_root), PROBE(read_parent_environ), PROBE(read_parent_maps), PROBE(read_parent_memory),
    PROBE(read_own_proc), PROBE(read_kernel_log), PROBE(list_root), PROBE(look_at_key), PROBE(ask_for_key),
    PROBE(overwrite_key), PROBE(create_file), PROBE(create_unnamed_file), PROBE(make_folder), PROBE(make_pipe_file),
    PROBE(unlink_file), PROBE(rename_file), PROBE(link_file), PROBE(symlink_file), PROBE(chmod_file), PROBE(chown_file),
    PROBE(truncate_file), PROBE(touch_file), PROBE(set_attribute), PROBE(open_by_handle), PROBE(reopen_for_writing),
    PROBE(fill_disk), PROBE(tcp_connect), PROBE(tcp_bind), PROBE(udp_send), PROBE(unix_connect), PROBE(abstract_connect),
    PROBE(netlink), PROBE(raw_socket), PROBE(packet_socket), PROBE(socket_pair), PROBE(plain_fork), PROBE(clone_process),
    PROBE(clone3_process), PROBE(clone_into_namespaces), PROBE(fork_bomb), PROBE(outlive), PROBE(execute),
    PROBE(execute_from_memory), PROBE(memory_file), PROBE(signal_parent), PROBE(signal_parent_thread),
    PROBE(signal_everyone), PROBE(queue_signal), PROBE(open_parent), PROBE(signal_parent_by_descriptor),
    PROBE(take_descriptor_of_parent), PROBE(trace_parent), PROBE(be_traced), PROBE(read_memory_of_parent),
    PROBE(write_memory_of_parent), PROBE(limits_of_parent), PROBE(compare_with_parent), PROBE(mount_folder),
    PROBE(unmount_nothing), PROBE(new_mount_api), PROBE(pivot), PROBE(change_root), PROBE(unshare_mounts),
    PROBE(unshare_user), PROBE(enter_namespace), PROBE(set_host_name), PROBE(set_clock), PROBE(reboot_badly),
    PROBE(load_kernel), PROBE(load_module), PROBE(load_module_file), PROBE(swap_on), PROBE(account), PROBE(quota),
    PROBE(port_access), PROBE(change_personality), PROBE(change_segments), PROBE(push_terminal), PROBE(any_ioctl),
    PROBE(watch_files), PROBE(watch_all_files), PROBE(shared_memory), PROBE(message_queue), PROBE(semaphores),
    PROBE(posix_queue), PROBE(add_a_key), PROBE(key_control), PROBE(ask_for_a_key), PROBE(ring), PROBE(bpf),
    PROBE(performance), PROBE(page_faults), PROBE(secret_memory), PROBE(event_descriptor), PROBE(new_pipe),
    PROBE(more_descriptors), PROBE(be_dumpable), PROBE(outlive_parent), PROBE(be_traced_by_all), PROBE(new_filter),
    PROBE(new_landlock), PROBE(become_root), PROBE(set_groups), PROBE(take_capabilities), PROBE(raise_limit),
    PROBE(new_session), PROBE(small_calls), PROBE(old_calls), PROBE(private_memory), PROBE(memory_that_is_shared),
    PROBE(memory_that_grows_down), PROBE(memory_made_writable), PROBE(addresses), PROBE(lock_memory),
    PROBE(thread_bomb),
};

// Run by the worker where it would start its first thread.
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    const char *name = text("PROBE");
    for (size_t at = 0; at < sizeof PROBES / sizeof *PROBES; at++)
        if (!strcmp(PROBES[at].name, name)) _exit(PROBES[at].run() ? REFUSED : SUCCEEDED);
    return real_pthread_create(thread, attributes, start, argument);
}

// Stands for a kernel without seccomp where PROBE asks for one.
static long (*real_syscall)(long, ...);
long syscall(long call, ...) {
    va_list list;
    va_start(list, call);
    long arguments[6];
    for (int at = 0; at < 6; at++) arguments[at] = va_arg(list, long);
    va_end(list);
    if (call == SYS_seccomp && !strcmp(text("PROBE"), "no_seccomp")) {
        errno = ENOSYS;
        return -1;
    }
    return real_syscall(call, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

__attribute__((constructor)) static void begin(void) {
    real_pthread_create = dlsym(RTLD_NEXT, "pthread_create");
    real_syscall = dlsym(RTLD_NEXT, "syscall");
}
