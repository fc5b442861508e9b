/**
 * The part of the native device that is not generated: a thread pool that runs a list of steps with a
 * barrier after each, and the loading of compiled kernels. Compiled once by the system compiler, like
 * the kernels themselves.
 *
 * The layout of `wf_step` is written by `executable.ts`.
 */
export const EXECUTOR_SOURCE = String.raw`
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <sys/mman.h>

typedef void (*wf_kernel)(float *const *buffers, float *scratch, int32_t task);

/* 32 bytes; 'next' is the first task that no thread has taken yet. */
typedef struct {
  wf_kernel kernel;
  float *const *buffers;
  int32_t tasks;
  _Atomic int32_t next;
  double milliseconds;
} wf_step;

typedef struct {
  int threads;
  int started;
  pthread_t *ids;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  _Atomic uint32_t generation; /* counts runs; workers wait for it to change */
  _Atomic int32_t stop;
  /* the run under way */
  wf_step *steps;
  int32_t count;
  float *scratch;
  int64_t scratch_floats;
  const volatile int32_t *cancel;
  int32_t timed;
  _Atomic int32_t cancelled;
  /* barrier */
  _Atomic int32_t arrived;
  _Atomic uint32_t phase;
} wf_pool;

typedef struct { wf_pool *pool; int index; } wf_worker;

static inline void wf_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static double wf_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

/* Waits until *word differs from old: spins while the wait is likely short, then lets others run. */
static void wf_spin(_Atomic uint32_t *word, uint32_t old)
{
  for (int i = 0; atomic_load_explicit(word, memory_order_acquire) == old; i++) {
    if (i < 4000) wf_pause();
    else sched_yield();
  }
}

/* Waits for all threads; 1 if they are to stop. The last one decides before it lets the others go, so that all
   decide alike: nobody can change 'cancelled' again before everybody has read it and come to the next barrier. */
static int32_t wf_barrier(wf_pool *pool)
{
  uint32_t phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) == pool->threads - 1) {
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    if (*pool->cancel) atomic_store_explicit(&pool->cancelled, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->phase, 1, memory_order_release);
  } else {
    wf_spin(&pool->phase, phase);
  }
  return atomic_load_explicit(&pool->cancelled, memory_order_relaxed);
}

static void wf_execute(wf_pool *pool, int thread)
{
  float *scratch = pool->scratch + thread * pool->scratch_floats;
  for (int32_t s = 0; s < pool->count; s++) {
    wf_step *step = &pool->steps[s];
    double begin = pool->timed && thread == 0 ? wf_now() : 0;
    for (;;) {
      int32_t task = atomic_fetch_add_explicit(&step->next, 1, memory_order_relaxed);
      if (task >= step->tasks) break;
      step->kernel(step->buffers, scratch, task);
    }
    int32_t stop = wf_barrier(pool);
    if (pool->timed && thread == 0) step->milliseconds = wf_now() - begin;
    if (stop) break;
  }
  /* Nobody looks at this run any more when thread 0 returns. */
  wf_barrier(pool);
}

static void *wf_work(void *argument)
{
  wf_worker worker = *(wf_worker *)argument;
  wf_pool *pool = worker.pool;
  free(argument);
  uint32_t seen = 0;
  for (;;) {
    int spins = 0;
    while (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen && spins < 20000) {
      wf_pause();
      spins++;
    }
    if (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen) {
      pthread_mutex_lock(&pool->mutex);
      while (atomic_load(&pool->generation) == seen) pthread_cond_wait(&pool->wake, &pool->mutex);
      pthread_mutex_unlock(&pool->mutex);
    }
    seen++;
    if (atomic_load(&pool->stop)) return NULL;
    wf_execute(pool, worker.index);
  }
}

static void wf_release(wf_pool *pool)
{
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->generation, 1);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
}

void wf_pool_destroy(wf_pool *pool)
{
  atomic_store(&pool->stop, 1);
  wf_release(pool);
  for (int i = 0; i < pool->started; i++) pthread_join(pool->ids[i], NULL);
  pthread_mutex_destroy(&pool->mutex);
  pthread_cond_destroy(&pool->wake);
  free(pool->ids);
  free(pool);
}

/* Keeps this library in memory until the process ends: whoever loaded it may unload it, as happens when a program or
   one of its threads ends without disposing of its device, while threads of a pool still wait in this code. */
static void wf_stay(void)
{
  Dl_info info;
  if (dladdr((void *)wf_pool_destroy, &info) && info.dli_fname) dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

/* NULL if the threads cannot be had. */
wf_pool *wf_pool_create(int32_t threads)
{
  wf_stay();
  wf_pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->threads = threads;
  pool->ids = calloc(threads, sizeof *pool->ids);
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  for (int i = 1; pool->ids && i < threads; i++) {
    wf_worker *worker = malloc(sizeof *worker);
    if (worker) *worker = (wf_worker){pool, i};
    if (!worker || pthread_create(&pool->ids[i - 1], NULL, wf_work, worker)) {
      free(worker);
      wf_pool_destroy(pool);
      return NULL;
    }
    pool->started++;
  }
  if (!pool->ids) { free(pool); return NULL; }
  return pool;
}

/* Runs all steps; 0 when done, 1 when *cancel became non-zero in between. One run at a time. */
int32_t wf_run(wf_pool *pool, wf_step *steps, int32_t count, float *scratch, int64_t scratch_floats,
               const int32_t *cancel, int32_t timed)
{
  for (int32_t s = 0; s < count; s++) atomic_store_explicit(&steps[s].next, 0, memory_order_relaxed);
  pool->steps = steps;
  pool->count = count;
  pool->scratch = scratch;
  pool->scratch_floats = scratch_floats;
  pool->cancel = cancel;
  pool->timed = timed;
  atomic_store(&pool->cancelled, 0);
  if (pool->threads > 1) wf_release(pool);
  wf_execute(pool, 0);
  return atomic_load(&pool->cancelled);
}

uint64_t wf_address(const void *memory) { return (uint64_t)(uintptr_t)memory; }

/* Large pages halve the cost of strided access; a hint, so failure does not matter. */
void wf_advise(void *memory, uint64_t bytes)
{
#ifdef MADV_HUGEPAGE
  uintptr_t page = 4096, begin = ((uintptr_t)memory + page - 1) & ~(page - 1);
  uintptr_t end = ((uintptr_t)memory + bytes) & ~(page - 1);
  if (end > begin) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

/*
 * Whether multiply-adds of 16 floats take twice as long as those of 8: some processors with AVX-512 have
 * units of that width, others take them in halves, and no flag tells. The least of several short
 * measurements each, in turns; some 0.2 ms.
 */
#ifdef __AVX512F__
#define WF_MULTIPLY_ADDS(name, floats)                                              \
  static double name(void)                                                          \
  {                                                                                 \
    typedef float vec __attribute__((vector_size(4 * floats)));                     \
    vec sums[12], factor = (vec){0} + 0.5f;                                         \
    for (int i = 0; i < 12; i++) sums[i] = factor;                                  \
    __asm__ volatile("" : "+v"(factor));                                            \
    double begin = wf_now();                                                        \
    for (int turn = 0; turn < 1000; turn++) {                                       \
      for (int i = 0; i < 12; i++) {                                                \
        sums[i] = sums[i] * factor + factor;                                        \
        __asm__ volatile("" : "+v"(sums[i]));                                       \
      }                                                                             \
    }                                                                               \
    return wf_now() - begin;                                                        \
  }
WF_MULTIPLY_ADDS(wf_time_wide, 16)
WF_MULTIPLY_ADDS(wf_time_narrow, 8)
#endif

int32_t wf_splits_vectors(void)
{
#ifdef __AVX512F__
  double wide = 1e9, narrow = 1e9;
  for (int i = 0; i < 20; i++) {
    double w = wf_time_wide(), n = wf_time_narrow();
    if (w < wide) wide = w;
    if (n < narrow) narrow = n;
  }
  return wide > 1.5 * narrow;
#else
  return 0;
#endif
}

/* The address of 'symbol' in the library at 'path', or 0 with a reason in 'reason'. */
uint64_t wf_load(const char *path, const char *symbol, uint64_t *handle, char *reason, int32_t reason_bytes)
{
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *address = library ? dlsym(library, symbol) : NULL;
  if (!address) {
    const char *text = dlerror();
    snprintf(reason, reason_bytes, "%s", text ? text : "unknown reason");
    if (library) dlclose(library);
    return 0;
  }
  *handle = (uint64_t)(uintptr_t)library;
  return (uint64_t)(uintptr_t)address;
}

void wf_unload(uint64_t handle) { dlclose((void *)(uintptr_t)handle); }
`;
