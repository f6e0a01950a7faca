// What the shim uses of CPython: functions of its C API, and the layout of simple objects where a function would cost
// more than the value. Layouts are those of CPython 3.14 for 32-bit machines; `layouts_hold` compares them with what
// the C API says, and where they do not hold the C API is used.

#pragma once

#include "guest.h"

typedef struct object {
    int32_t count;
    struct object *type;
} object;

FROM(PYTHON, "PyGILState_Ensure") int PyGILState_Ensure(void);
FROM(PYTHON, "PyGILState_Release") void PyGILState_Release(int state);
FROM(PYTHON, "_Py_Dealloc") void _Py_Dealloc(object *);
FROM(PYTHON, "Py_IncRef") void Py_IncRef(object *);
FROM(PYTHON, "Py_GetConstantBorrowed") object *Py_GetConstantBorrowed(unsigned constant);
FROM(PYTHON, "PyObject_Type") object *PyObject_Type(object *);
FROM(PYTHON, "PyObject_CallNoArgs") object *PyObject_CallNoArgs(object *);
FROM(PYTHON, "PyObject_Vectorcall")
object *PyObject_Vectorcall(object *, object *const *arguments, size_t count, object *names);
FROM(PYTHON, "_PyFunction_Vectorcall")
object *_PyFunction_Vectorcall(object *, object *const *arguments, size_t count, object *names);
FROM(PYTHON, "PyErr_Occurred") object *PyErr_Occurred(void);
FROM(PYTHON, "PyErr_Clear") void PyErr_Clear(void);
FROM(PYTHON, "PyErr_GetRaisedException") object *PyErr_GetRaisedException(void);
FROM(PYTHON, "PyLong_FromLongLong") object *PyLong_FromLongLong(int64_t);
FROM(PYTHON, "PyLong_FromUnsignedLongLong") object *PyLong_FromUnsignedLongLong(uint64_t);
FROM(PYTHON, "PyLong_AsLongLongAndOverflow") int64_t PyLong_AsLongLongAndOverflow(object *, int *overflow);
FROM(PYTHON, "PyLong_AsUnsignedLongLong") uint64_t PyLong_AsUnsignedLongLong(object *);
FROM(PYTHON, "PyFloat_FromDouble") object *PyFloat_FromDouble(double);
FROM(PYTHON, "PyFloat_AsDouble") double PyFloat_AsDouble(object *);
FROM(PYTHON, "PyUnicode_New") object *PyUnicode_New(ptrdiff_t length, uint32_t largest);
FROM(PYTHON, "PyUnicode_FromStringAndSize") object *PyUnicode_FromStringAndSize(const char *, ptrdiff_t size);
FROM(PYTHON, "PyUnicode_AsUTF8AndSize") const char *PyUnicode_AsUTF8AndSize(object *, ptrdiff_t *size);
FROM(PYTHON, "PyBytes_FromStringAndSize") object *PyBytes_FromStringAndSize(const char *, ptrdiff_t size);
FROM(PYTHON, "PyBytes_AsString") const char *PyBytes_AsString(object *);
FROM(PYTHON, "PyBytes_Size") ptrdiff_t PyBytes_Size(object *);
FROM(PYTHON, "PyList_New") object *PyList_New(ptrdiff_t size);
FROM(PYTHON, "PyList_Size") ptrdiff_t PyList_Size(object *);
FROM(PYTHON, "PyList_Append") int PyList_Append(object *, object *);
FROM(PYTHON, "PyList_GetItem") object *PyList_GetItem(object *, ptrdiff_t);
FROM(PYTHON, "PyTuple_GetItem") object *PyTuple_GetItem(object *, ptrdiff_t);

// Arguments of `Py_GetConstantBorrowed`.
enum { CONSTANT_NONE = 0, CONSTANT_FALSE = 1, CONSTANT_TRUE = 2, CONSTANT_ZERO = 5, CONSTANT_TEXT = 7, CONSTANT_BYTES = 8 };

// Set in the count of a vector call's arguments when the slot before them may be written to.
#define SLOT_BEFORE ((size_t)1 << 31)

// Objects with a count from here on are immortal: it does not change.
#define IMMORTAL (1 << 30)

// `Py_DECREF`, for what may be NULL.
INLINE void drop(object *value) {
    if (value && value->count < IMMORTAL && --value->count == 0) _Py_Dealloc(value);
}

// An int: a tag (number of digits << 3 | 0 for positive, 1 for zero, 2 for negative) and digits of 30 bits.
struct integer {
    object head;
    uint32_t tag;
    uint32_t digits[2];
};

struct floating {
    object head;
    double value;
};

// A str: flags in the byte `state`; of one whose characters are all ASCII the text follows.
struct text {
    object head;
    size_t length;
    int32_t hash;
    uint8_t state;
    uint8_t unused[3];
    char ascii[];
};
enum { COMPACT_ASCII = 0x60 };

struct bytes {
    object head;
    size_t size;
    int32_t hash;
    char data[];
};

// What is the same for a whole sandbox: the singletons, and the exact types.
struct known {
    bool ready, layouts;
    object *none, *no, *yes;
    object *integer, *floating, *text, *bytes;
};
extern struct known known __attribute__((visibility("hidden")));

// Finds them, once. False when memory is short.
bool learn(void) __attribute__((visibility("hidden")));

// The value of an exact int, if an int64 holds it.
INLINE bool read_integer(object *value, int64_t *out) {
    const struct integer *integer = (const struct integer *)value;
    if (LIKELY(known.layouts) && integer->tag < 3 << 3) {
        int64_t magnitude = integer->digits[0];
        if (integer->tag >= 2 << 3) magnitude |= (int64_t)integer->digits[1] << 30;
        *out = (1 - (int64_t)(integer->tag & 3)) * magnitude;
        return true;
    }
    int overflow;
    *out = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow == 0;
}

INLINE double read_float(object *value) {
    return LIKELY(known.layouts) ? ((const struct floating *)value)->value : PyFloat_AsDouble(value);
}

INLINE const char *read_bytes(object *value, ptrdiff_t *size) {
    if (LIKELY(known.layouts)) {
        *size = ((struct bytes *)value)->size;
        return ((struct bytes *)value)->data;
    }
    *size = PyBytes_Size(value);
    return PyBytes_AsString(value);
}

// The UTF-8 of an exact str; NULL if it has none, or if memory is short, and then an exception is set.
INLINE const char *read_text(object *value, ptrdiff_t *size) {
    const struct text *text = (const struct text *)value;
    if (LIKELY(known.layouts) && (text->state & COMPACT_ASCII) == COMPACT_ASCII) {
        *size = text->length;
        return text->ascii;
    }
    return PyUnicode_AsUTF8AndSize(value, size);
}
