// Small objects: the memory of Python's objects up to 256 bytes.
//
// The interpreter in the image has no pymalloc: each object is a block of the C library's allocator, whose every call
// costs ten times what it does here. This is pymalloc's design. A *pool* is 1 KiB of blocks of one size, a *chunk* is
// 64 KiB of pools, which comes from the C library and goes back to it when its pools are empty.
//
// A byte for each 64 KiB of the address space tells whose a block is. So blocks that were there before this code was
// (all of the image's) stay what they are, whichever function frees them; and whatever is not ours goes to the C
// library, which checks what it gets. As with pymalloc, a block that is freed twice or written to after it was freed
// corrupts the heap of its own sandbox, and nothing else.

#include "guest.h"

FROM("libc.so", "calloc") void *libc_calloc(size_t count, size_t size);
FROM("libc.so", "realloc") void *libc_realloc(void *block, size_t size);
FROM("libc.so", "posix_memalign") int libc_memalign(void **block, size_t alignment, size_t size);

// Blocks are aligned like the C library's: to 16 bytes.
enum { GRAIN = 16, MOST = 256, CLASSES = MOST / GRAIN + 1, POOL = 1024, CHUNK = 1 << 16, POOLS = CHUNK / POOL };

// The C library keeps the size of the chunk behind this one in the last bytes of ours.
enum { POOL_END = POOL - 8, CHUNK_REQUEST = CHUNK - 4 };

// The bytes of which blocks are made at once, so that the slow way is rare, but no page is touched too early.
enum { RUN = 512 };

static const uint64_t ALL_VACANT = UINT64_MAX; // a bit for each of the pools
_Static_assert(POOLS == 64, "a chunk's pools have a bit each");

struct pool {
    void *free;                 // freed blocks; the first word of each is the next
    uint8_t used;               // blocks in use
    uint8_t fresh;              // where the first block is that was never used, in grains
    uint8_t class;              // size of a block, in grains
    bool listed;                // whether it is in its class's list
    struct pool *next, *prev;   // of the list of its class

    // These are the chunk's, in its first pool.
    struct pool *next_chunk, *prev_chunk; // of the list of chunks with a vacant pool
    uint64_t vacant;            // a bit for each pool that nobody has
};

_Static_assert(sizeof(struct pool) == 2 * GRAIN, "a block behind the head of a pool is aligned");

// For each class its pools with free blocks; blocks come from the first one.
static struct pool *with_room[CLASSES];
// Chunks with a vacant pool.
static struct pool *with_vacancy;
// For each 64 KiB whether it is a chunk.
static uint8_t ours[1 << 16];

INLINE bool is_ours(const void *block) {
    return ours[(uintptr_t)block >> 16];
}

INLINE struct pool *pool_of(void *block) {
    return (struct pool *)((uintptr_t)block & ~(uintptr_t)(POOL - 1));
}

INLINE struct pool *chunk_of(struct pool *pool) {
    return (struct pool *)((uintptr_t)pool & ~(uintptr_t)(CHUNK - 1));
}

INLINE size_t block_size(const struct pool *pool) {
    return pool->class ? pool->class * GRAIN : GRAIN; // a block of no bytes is one all the same
}

static void list_chunk(struct pool *chunk) {
    chunk->prev_chunk = NULL;
    chunk->next_chunk = with_vacancy;
    if (with_vacancy) with_vacancy->prev_chunk = chunk;
    with_vacancy = chunk;
}

static void unlist_chunk(struct pool *chunk) {
    if (chunk->next_chunk) chunk->next_chunk->prev_chunk = chunk->prev_chunk;
    if (chunk->prev_chunk) chunk->prev_chunk->next_chunk = chunk->next_chunk;
    else with_vacancy = chunk->next_chunk;
}

// A vacant pool, of a new chunk if need be; NULL when there is no more memory.
static struct pool *take_pool(void) {
    struct pool *chunk = with_vacancy;
    if (!chunk) {
        void *memory;
        if (libc_memalign(&memory, CHUNK, CHUNK_REQUEST)) return NULL;
        chunk = memory;
        ours[(uintptr_t)chunk >> 16] = 1;
        chunk->vacant = ALL_VACANT;
        list_chunk(chunk);
    }
    unsigned index = __builtin_ctzll(chunk->vacant);
    chunk->vacant &= chunk->vacant - 1;
    if (!chunk->vacant) unlist_chunk(chunk);
    return (struct pool *)((char *)chunk + index * POOL);
}

static void give_pool_back(struct pool *pool) {
    struct pool *chunk = chunk_of(pool);
    if (!chunk->vacant) list_chunk(chunk);
    chunk->vacant |= 1ull << (((uintptr_t)pool - (uintptr_t)chunk) / POOL);
    // One empty chunk stays: a program that needs it again and again would otherwise fetch it again and again.
    bool another = chunk->next_chunk || chunk->prev_chunk;
    if (chunk->vacant == ALL_VACANT && another) {
        unlist_chunk(chunk);
        ours[(uintptr_t)chunk >> 16] = 0;
        libc_free(chunk);
    }
}

// A block of a class whose first pool has no freed one.
COLD static void *allocate_slowly(unsigned class) {
    struct pool *pool;
    while ((pool = with_room[class])) {
        if (pool->free) {
            void *block = pool->free;
            pool->free = *(void **)block;
            pool->used++;
            return block;
        }
        size_t size = block_size(pool);
        unsigned count = (POOL_END - pool->fresh * GRAIN) / size;
        if (count > 0) {
            if (count * size > RUN) count = size < RUN ? RUN / size : 1;
            char *first = (char *)pool + pool->fresh * GRAIN;
            void *next = NULL;
            for (unsigned at = count - 1; at > 0; at--) {
                *(void **)(first + at * size) = next;
                next = first + at * size;
            }
            pool->fresh += count * size / GRAIN;
            pool->free = next;
            pool->used++;
            return first;
        }
        // It is full.
        pool->listed = false;
        with_room[class] = pool->next;
        if (pool->next) pool->next->prev = NULL;
    }
    pool = take_pool();
    if (!pool) return libc_malloc(class ? class * GRAIN : GRAIN);
    pool->free = NULL;
    pool->used = 0;
    pool->fresh = sizeof(struct pool) / GRAIN;
    pool->class = class;
    pool->listed = true;
    pool->next = pool->prev = NULL;
    with_room[class] = pool;
    return allocate_slowly(class);
}

// After a block of a pool was freed that was full, or is empty now.
COLD static void settle(struct pool *pool) {
    struct pool *first = with_room[pool->class];
    if (pool->used == 0 && pool != first) {
        if (pool->listed) {
            if (pool->next) pool->next->prev = pool->prev;
            if (pool->prev) pool->prev->next = pool->next;
        }
        give_pool_back(pool);
    } else if (!pool->listed) {
        // Second, so that the first one is used up.
        pool->listed = true;
        pool->prev = first;
        pool->next = first ? first->next : NULL;
        if (pool->next) pool->next->prev = pool;
        if (first) first->next = pool;
        else with_room[pool->class] = pool;
    }
}

INLINE void *allocate(size_t size) {
    unsigned class = (size + GRAIN - 1) / GRAIN;
    struct pool *pool = with_room[class];
    if (UNLIKELY(!pool)) return allocate_slowly(class);
    void *block = pool->free;
    if (UNLIKELY(!block)) return allocate_slowly(class);
    pool->free = *(void **)block;
    pool->used++;
    return block;
}

INLINE void release(void *block) {
    struct pool *pool = pool_of(block);
    void *next = pool->free;
    *(void **)block = next;
    pool->free = block;
    if (UNLIKELY(--pool->used == 0 || !next)) settle(pool);
}

// `PyObject_Malloc` and `PyMem_Malloc`.
EXPORT void *python_malloc(size_t size) {
    if (LIKELY(size <= MOST)) return allocate(size);
    if (size > PTRDIFF_MAX) return NULL;
    return libc_malloc(size);
}

// `PyObject_Calloc` and `PyMem_Calloc`.
EXPORT void *python_calloc(size_t count, size_t size) {
    uint64_t total = (uint64_t)count * size;
    if (total > PTRDIFF_MAX) return NULL;
    if (total > MOST) return libc_calloc(1, total);
    uint64_t *block = allocate(total);
    if (block) {
        // Every block is a whole number of grains.
        for (size_t at = 0; at * sizeof *block < total; at++) block[at] = 0;
    }
    return block;
}

// `PyObject_Free`, `PyMem_Free`, and the C library's `free`.
EXPORT void any_free(void *block) {
    if (is_ours(block)) release(block);
    else libc_free(block);
}

// A block of ours with another size; of the C library's if `foreign`.
static void *resize(void *block, size_t size, bool foreign) {
    size_t old = block_size(pool_of(block));
    // It stays when it fits, unless much of it would lie idle.
    if (size <= old && size * 4 >= old * 3) return block;
    void *other = foreign || size > MOST ? libc_malloc(size ? size : 1) : allocate(size);
    if (!other) return size <= old ? block : NULL;
    libc_memcpy(other, block, size < old ? size : old);
    release(block);
    return other;
}

// `PyObject_Realloc` and `PyMem_Realloc`.
EXPORT void *python_realloc(void *block, size_t size) {
    if (!block) return python_malloc(size);
    if (size > PTRDIFF_MAX) return NULL;
    return is_ours(block) ? resize(block, size, false) : libc_realloc(block, size ? size : 1);
}

// The C library's `realloc`.
EXPORT void *any_realloc(void *block, size_t size) {
    if (!block || !is_ours(block)) return libc_realloc(block, size);
    return size > PTRDIFF_MAX ? NULL : resize(block, size, true);
}

// The size of the largest hole that is filled, and from where on all sizes are tried.
enum { HOLE = 1 << 20, FINE = 1 << 10 };

// Leaves the heap so that new blocks lie together, in memory that nobody has used: pools with room get no new block,
// and the holes of the C library's heap are filled. For the making of an image; what it fills is gone for ever.
EXPORT void settle_heap(void) {
    for (unsigned class = 0; class < CLASSES; class++) {
        struct pool *pool = with_room[class];
        with_room[class] = NULL;
        while (pool) {
            struct pool *next = pool->next;
            pool->listed = false;
            pool->next = pool->prev = NULL;
            pool = next;
        }
    }
    while (with_vacancy) {
        struct pool *chunk = with_vacancy;
        unlist_chunk(chunk);
        chunk->vacant = 0;
    }
    // Behind it nothing was ever used.
    char *boundary = libc_malloc(2 * HOLE);
    if (!boundary) return;
    size_t size = HOLE;
    while (size > 0) {
        char *block = libc_malloc(size);
        if (block && block < boundary) continue;
        libc_free(block);
        size -= size > FINE ? size / 16 : size > GRAIN ? 8 : size;
    }
    libc_free(boundary);
}
