// What the shim uses of the program that it is linked into. The flattener finds each function by library and name;
// what is replaced by a function of the shim's is still the original here.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FROM(library, name) __attribute__((import_module(library), import_name(name)))
#define EXPORT __attribute__((visibility("default")))
#define COLD __attribute__((cold, noinline))
#define INLINE static inline __attribute__((always_inline))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

FROM("libc.so", "memcpy") void *libc_memcpy(void *to, const void *from, size_t size);
FROM("libc.so", "dlmalloc") void *libc_malloc(size_t size);
FROM("libc.so", "dlfree") void libc_free(void *block);

#define PYTHON "libpython3.14.so"
