// The column loop: calls a bound function for each row of Arrow columns that the host wrote into this memory, and
// writes the results where the host reads them.
//
// The other side is `host/runtime/src/wasm/columns/`; what the harness does with a bundle in a frame happens here for
// columns of simple types, with the same meaning: all rows are called before the first result is judged, no row is
// called twice, and what is not plainly right is left to the harness's strict check and its words.

#include "dates.h"

// Days, and microseconds: of the day, since 1970 without a zone, and in UTC.
enum kind { BOOLS, INTS, UNSIGNED, FLOATS, TEXTS, BYTES, DAYS, TIMES, STAMPS, INSTANTS };

enum { MOST_ARGUMENTS = 8 };

// An argument. Bools are bits; all numbers have 64 bits, whatever they have in the column.
struct column {
    uint32_t kind, constant;
    const void *values;
    const uint32_t *offsets; // of texts and bytes
    const uint8_t *valid;    // bits; NULL when no value is NULL
};

struct plan {
    // What the harness said: see `Harness.native` there.
    object *function, *coerce, *describe, *written, *flush;
    uint32_t plain;
    struct dates dates;
    uint32_t handle, rows, arity;
    // The result.
    uint32_t kind, limit;
    int64_t least, most; // of ints, days and microseconds
    double bound;        // floats from here on are too large
    int64_t exact;       // ints up to here are exact floats
    int64_t unit;        // the microseconds of what is counted in the column
    void *values;        // bools one byte each
    uint32_t *offsets;
    uint8_t *valid;
    // What the loop says.
    uint32_t nulls; // whether `valid` was written
    const char *bytes;
    uint32_t length;
    struct column arguments[MOST_ARGUMENTS];
};

_Static_assert(offsetof(struct plan, arguments) == 128 && sizeof(struct column) == 20, "the host knows the layout");

enum status { DONE, SAID, FULL, NO_MEMORY, BROKEN };
enum fit { TAKEN, ODD, TOO_LARGE, TOO_MUCH };

// The bytes of the results, or of an error. Kept between calls unless it is large.
static char *buffer;
static size_t capacity;

EXPORT void columns_release(void) {
    libc_free(buffer);
    buffer = NULL;
    capacity = 0;
}

static bool reserve(size_t used, size_t wanted) {
    if (LIKELY(wanted <= capacity)) return true;
    size_t size = capacity < wanted / 2 ? wanted : capacity * 2;
    if (size < 4096) size = 4096;
    char *larger = libc_malloc(size);
    if (!larger) {
        size = wanted;
        larger = libc_malloc(size);
        if (!larger) return false;
    }
    if (used) libc_memcpy(larger, buffer, used);
    libc_free(buffer);
    buffer = larger;
    capacity = size;
    return true;
}

INLINE void copy(char *to, const char *from, size_t size) {
    if (size > 64) {
        libc_memcpy(to, from, size);
        return;
    }
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, from + at, 8);
        __builtin_memcpy(to + at, &word, 8);
    }
    for (; at < size; at++) to[at] = from[at];
}

// Arguments.

INLINE bool is_ascii(const char *text, size_t size) {
    uint64_t high = 0;
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        __builtin_memcpy(&word, text + at, 8);
        high |= word;
    }
    for (; at < size; at++) high |= (uint8_t)text[at];
    return !(high & UINT64_C(0x8080808080808080));
}

INLINE object *make_text(const char *text, size_t size) {
    // The shortest are objects that all share.
    if (size < 2 || !known.layouts || !is_ascii(text, size)) return PyUnicode_FromStringAndSize(text, size);
    object *made = PyUnicode_New(size, 127);
    if (made) copy(((struct text *)made)->ascii, text, size);
    return made;
}

static object *make_moment(const struct plan *plan, uint32_t kind, int64_t value) {
    switch (kind) {
    case DAYS: return make_date(&plan->dates, value);
    case TIMES: return make_time(&plan->dates, value);
    default: return make_datetime(&plan->dates, value, kind == INSTANTS);
    }
}

// The value of a row, as a new reference or a borrowed one to something immortal; NULL when memory is short.
INLINE object *make(const struct plan *plan, const struct column *column, uint32_t row) {
    if (column->valid && !(column->valid[row >> 3] >> (row & 7) & 1)) return known.none;
    switch (column->kind) {
    case BOOLS:
        return ((const uint8_t *)column->values)[row >> 3] >> (row & 7) & 1 ? known.yes : known.no;
    case INTS:
        return PyLong_FromLongLong(((const int64_t *)column->values)[row]);
    case UNSIGNED:
        return PyLong_FromUnsignedLongLong(((const uint64_t *)column->values)[row]);
    case FLOATS:
        return PyFloat_FromDouble(((const double *)column->values)[row]);
    }
    if (UNLIKELY(column->kind >= DAYS)) return make_moment(plan, column->kind, ((const int64_t *)column->values)[row]);
    const char *data = (const char *)column->values + column->offsets[row];
    size_t size = column->offsets[row + 1] - column->offsets[row];
    return column->kind == TEXTS ? make_text(data, size) : PyBytes_FromStringAndSize(data, size);
}

// Results.

COLD static void set_null(struct plan *plan, uint32_t row) {
    if (!plan->nulls) {
        plan->nulls = 1;
        for (uint32_t at = 0; at < (plan->rows + 7) / 8; at++) plan->valid[at] = 0xff;
    }
    plan->valid[row >> 3] &= ~(1 << (row & 7));
}

INLINE enum fit append(struct plan *plan, uint32_t row, const char *data, size_t size) {
    if (UNLIKELY(size > plan->limit - plan->length)) {
        // The host says how much it would have been.
        plan->length = plan->length > UINT32_MAX - size ? UINT32_MAX : plan->length + size;
        return TOO_LARGE;
    }
    if (!reserve(plan->length, plan->length + size)) return TOO_MUCH;
    copy(buffer + plan->length, data, size);
    plan->length += size;
    plan->offsets[row + 1] = plan->length;
    return TAKEN;
}

INLINE enum fit take_unsigned(struct plan *plan, uint32_t row, object *result) {
    int64_t value;
    if (read_integer(result, &value)) {
        ((int64_t *)plan->values)[row] = value;
        return value >= 0 ? TAKEN : ODD;
    }
    uint64_t large = PyLong_AsUnsignedLongLong(result);
    ((uint64_t *)plan->values)[row] = large;
    if (large != UINT64_MAX || !PyErr_Occurred()) return TAKEN;
    PyErr_Clear();
    return ODD;
}

INLINE enum fit take_float(struct plan *plan, uint32_t row, object *result) {
    double value;
    int64_t integer;
    if (LIKELY(result->type == known.floating)) {
        value = read_float(result);
    } else {
        if (!read_integer(result, &integer) || integer < -plan->exact || integer > plan->exact) return ODD;
        value = (double)integer;
    }
    ((double *)plan->values)[row] = value;
    // Infinity and NaN are values; what only becomes infinite is not.
    bool finite = value - value == 0;
    return !finite || (value < plan->bound && value > -plan->bound) ? TAKEN : ODD;
}

// Days or microseconds, if the column's unit can hold them.
INLINE enum fit put_wire(struct plan *plan, uint32_t row, int64_t value) {
    if (value < plan->least || value > plan->most || (plan->unit > 1 && value % plan->unit)) return ODD;
    ((int64_t *)plan->values)[row] = value;
    return TAKEN;
}

// Whether the layouts of dates hold, once `run` has looked.
static bool dates_known, dates_layouts;

static enum fit take_moment(struct plan *plan, uint32_t row, object *result) {
    const struct moment *moment = (const struct moment *)result;
    object *type = result->type;
    if (!dates_layouts) return ODD;
    switch (plan->kind) {
    case DAYS:
        if (type == plan->dates.date) return put_wire(plan, row, read_date(result));
        break;
    case TIMES:
        if (type == plan->dates.time && !moment->aware) return put_wire(plan, row, read_time(result));
        break;
    case STAMPS:
        if (type == plan->dates.datetime && !moment->aware) return put_wire(plan, row, read_datetime(result));
        break;
    default:
        if (type == plan->dates.datetime && moment->aware && moment->zone == plan->dates.utc)
            return put_wire(plan, row, read_datetime(result));
        break;
    }
    return ODD;
}

INLINE bool varies(uint32_t kind) {
    return kind == TEXTS || kind == BYTES;
}

// Puts a result into the column, if it is exactly of the type or None.
INLINE enum fit take(struct plan *plan, uint32_t row, object *result) {
    object *type = result->type;
    ptrdiff_t size;
    switch (plan->kind) {
    case BOOLS:
        if (result == known.yes || result == known.no) {
            ((uint8_t *)plan->values)[row] = result == known.yes;
            return TAKEN;
        }
        break;
    case INTS:
        if (LIKELY(type == known.integer)) {
            int64_t value;
            if (!read_integer(result, &value) || value < plan->least || value > plan->most) return ODD;
            ((int64_t *)plan->values)[row] = value;
            return TAKEN;
        }
        break;
    case UNSIGNED:
        if (type == known.integer) return take_unsigned(plan, row, result);
        break;
    case FLOATS:
        if (type == known.floating || type == known.integer) return take_float(plan, row, result);
        break;
    case TEXTS:
        if (LIKELY(type == known.text)) {
            const char *text = read_text(result, &size);
            if (LIKELY(text != NULL)) return append(plan, row, text, size);
            PyErr_Clear();
            return ODD;
        }
        break;
    case BYTES:
        if (LIKELY(type == known.bytes)) {
            const char *bytes = read_bytes(result, &size);
            return append(plan, row, bytes, size);
        }
        break;
    }
    if (result != known.none) return plan->kind >= DAYS ? take_moment(plan, row, result) : ODD;
    set_null(plan, row);
    if (plan->kind == BOOLS) ((uint8_t *)plan->values)[row] = 0;
    else if (varies(plan->kind)) plan->offsets[row + 1] = plan->length;
    else ((int64_t *)plan->values)[row] = 0;
    return TAKEN;
}

// Errors.

// Leaves an error of the harness's, a str, for the host.
COLD static enum status say(struct plan *plan, object *text) {
    ptrdiff_t size = 0;
    const char *utf8 = text && text->type == known.text ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (!utf8) return BROKEN;
    if (!reserve(0, size)) return NO_MEMORY;
    libc_memcpy(buffer, utf8, size);
    plan->length = size;
    return SAID;
}

COLD static object *ask(object *function, uint32_t handle, object *second, object *third) {
    object *first = PyLong_FromLongLong(handle);
    object *arguments[] = {NULL, first, second, third};
    object *answer = first && second && third
        ? PyObject_Vectorcall(function, arguments + 1, 3 | SLOT_BEFORE, NULL)
        : NULL;
    drop(first);
    return answer;
}

// The function raised at a row: what the harness says of it.
COLD static enum status raised(struct plan *plan, uint32_t row) {
    object *exception = PyErr_GetRaisedException();
    object *number = PyLong_FromLongLong(row);
    object *text = exception ? ask(plan->describe, plan->handle, number, exception) : NULL;
    // The harness's method fails for want of memory only.
    enum status status = text ? say(plan, text) : exception ? NO_MEMORY : BROKEN;
    drop(text);
    drop(number);
    drop(exception);
    return status;
}

// Judges a result that is perhaps not of the exact type: as it is, then as the harness's strict check gives it back.
COLD static enum status judge(struct plan *plan, uint32_t row, object *result) {
    enum fit fit = take(plan, row, result);
    object *answer = NULL, *payload = NULL;
    if (fit == ODD) {
        object *number = PyLong_FromLongLong(row);
        answer = ask(plan->coerce, plan->handle, result, number);
        drop(number);
        if (!answer) return NO_MEMORY;
        object *code = PyTuple_GetItem(answer, 0);
        int64_t failed;
        payload = code ? PyTuple_GetItem(answer, 1) : NULL;
        if (!payload || code->type != known.integer || !read_integer(code, &failed)) {
            drop(answer);
            return BROKEN;
        }
        if (failed) {
            enum status status = say(plan, payload);
            drop(answer);
            return status;
        }
        int64_t value;
        // Of dates and times the harness gives numbers.
        bool wire = plan->kind >= DAYS && payload->type == known.integer && read_integer(payload, &value);
        fit = wire ? put_wire(plan, row, value) : take(plan, row, payload);
    }
    drop(answer);
    switch (fit) {
    case TAKEN: return DONE;
    case TOO_LARGE: return FULL;
    case TOO_MUCH: return NO_MEMORY;
    default: return BROKEN;
    }
}

// The loop.

INLINE object *call(const struct plan *plan, object *const *arguments) {
    size_t count = plan->arity | SLOT_BEFORE;
    // A function that is written in Python: the same without a look at its type.
    if (LIKELY(plan->plain)) return _PyFunction_Vectorcall(plan->function, arguments, count, NULL);
    return PyObject_Vectorcall(plan->function, arguments, count, NULL);
}

// Calls every row. Results from the first one on that is not plainly right are put into `late`.
static enum status call_rows(struct plan *plan, object **arguments, object **late) {
    for (uint32_t row = 0; row < plan->rows; row++) {
        for (uint32_t at = 0; at < plan->arity; at++) {
            const struct column *column = &plan->arguments[at];
            if (column->constant) continue;
            arguments[at] = make(plan, column, row);
            if (UNLIKELY(!arguments[at])) return NO_MEMORY;
        }
        object *result = call(plan, arguments);
        for (uint32_t at = 0; at < plan->arity; at++) {
            if (plan->arguments[at].constant) continue;
            drop(arguments[at]);
            arguments[at] = NULL;
        }
        if (UNLIKELY(!result)) return raised(plan, row);
        if (UNLIKELY(*late != NULL) || UNLIKELY(take(plan, row, result) != TAKEN)) {
            if (!*late) *late = PyList_New(0);
            if (!*late || PyList_Append(*late, result)) {
                drop(result);
                return NO_MEMORY;
            }
        }
        drop(result);
    }
    return DONE;
}

static enum status judge_late(struct plan *plan, object *late) {
    ptrdiff_t count = PyList_Size(late);
    // The first one may have been refused after it had counted itself in.
    uint32_t first = plan->rows - count;
    if (varies(plan->kind)) plan->length = plan->offsets[first];
    for (ptrdiff_t at = 0; at < count; at++) {
        // The harness runs code of the user's, which can reach the list.
        object *result = PyList_GetItem(late, at);
        if (!result) return BROKEN;
        Py_IncRef(result);
        enum status status = judge(plan, first + at, result);
        drop(result);
        if (status != DONE) return status;
    }
    return DONE;
}

static enum status run(struct plan *plan) {
    // A slot that the called function may use comes before the arguments.
    object *slots[MOST_ARGUMENTS + 1] = {NULL};
    object **arguments = slots + 1;
    object *late = NULL;
    enum status status = DONE;
    if (plan->kind >= DAYS && !dates_known) {
        dates_layouts = known.layouts && dates_hold(&plan->dates);
        // Memory may have been short: the next call tries again.
        dates_known = !PyErr_Occurred();
        PyErr_Clear();
    }
    for (uint32_t at = 0; at < plan->arity; at++) {
        if (!plan->arguments[at].constant) continue;
        arguments[at] = make(plan, &plan->arguments[at], 0);
        if (!arguments[at]) status = NO_MEMORY;
    }
    if (varies(plan->kind)) plan->offsets[0] = 0;
    if (status == DONE) status = call_rows(plan, arguments, &late);
    if (status == DONE && late) status = judge_late(plan, late);
    for (uint32_t at = 0; at < plan->arity; at++) drop(arguments[at]);
    drop(late);
    return status;
}

// Evaluates the bundle that `plan` describes. Gives a status; the rest is in the plan.
EXPORT uint32_t columns_run(struct plan *plan) {
    int state = PyGILState_Ensure();
    plan->nulls = plan->length = 0;
    enum status status = NO_MEMORY;
    if (LIKELY(plan->arity <= MOST_ARGUMENTS && learn())) {
        status = run(plan);
        // What was printed belongs to the log of this call.
        if (UNLIKELY(PyList_Size(plan->written) > 0)) {
            object *flushed = PyObject_CallNoArgs(plan->flush);
            if (!flushed) status = NO_MEMORY;
            drop(flushed);
        }
    }
    // What a status stands for is said; nothing may be left for the next call to trip over.
    if (UNLIKELY(status != DONE)) PyErr_Clear();
    plan->bytes = buffer;
    PyGILState_Release(state);
    return status;
}
