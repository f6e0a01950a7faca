// Dates, times and datetimes from and to numbers: days and microseconds since 1970, of a time since midnight. Their
// layouts are those of CPython 3.14; `dates_hold` compares them with what the constructors say.

#pragma once

#include "python.h"

// The types and the zone that values are compared with and made of: the harness says where they are.
struct dates {
    object *date, *time, *datetime, *utc;
};

#define MICROSECONDS_OF_DAY INT64_C(86400000000)

// All three begin like this; `packed` holds bytes, high ones first: a date's year (2), month, day; a time's hour,
// minute, second, microsecond (3); a datetime's both. `aware` says that a zone follows.
struct moment {
    object head;
    int32_t hash;
    uint8_t aware;
    uint8_t packed[10];
    uint8_t fold;
    object *zone; // of a datetime
};

object *make_date(const struct dates *, int64_t days) __attribute__((visibility("hidden")));
object *make_time(const struct dates *, int64_t microseconds) __attribute__((visibility("hidden")));
// With the zone UTC, or without one.
object *make_datetime(const struct dates *, int64_t microseconds, bool aware) __attribute__((visibility("hidden")));

// Whether the layouts hold; `false` too when memory is short. Only then may these be called, for exact types.
bool dates_hold(const struct dates *) __attribute__((visibility("hidden")));
int64_t read_date(object *) __attribute__((visibility("hidden")));
int64_t read_time(object *) __attribute__((visibility("hidden")));
int64_t read_datetime(object *) __attribute__((visibility("hidden")));
