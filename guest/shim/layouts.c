// The self-test of the layouts in `python.h`, and the objects that everything is compared with.

#include "python.h"

struct known known;

static bool integers_hold(void) {
    static const int64_t values[] = {
        0, 1, -1, 255, 256, -255, (1 << 30) - 1, 1 << 30, -(1 << 30), (INT64_C(1) << 59) + 7, (INT64_C(1) << 60) - 1,
        1 - (INT64_C(1) << 60), INT64_C(1) << 60, INT64_MAX, INT64_MIN,
    };
    bool hold = true;
    for (size_t at = 0; at < sizeof values / sizeof *values; at++) {
        object *value = PyLong_FromLongLong(values[at]);
        if (!value) return false;
        int64_t read;
        hold &= read_integer(value, &read) && read == values[at];
        // Whether the fast way was taken, not only whether the answer is right.
        bool small = values[at] > -(INT64_C(1) << 60) && values[at] < INT64_C(1) << 60;
        hold &= (((struct integer *)value)->tag < 3 << 3) == small && value->type == known.integer;
        drop(value);
    }
    return hold;
}

static bool floats_hold(void) {
    object *value = PyFloat_FromDouble(-1234.5678);
    if (!value) return false;
    bool holds = read_float(value) == -1234.5678 && value->type == known.floating;
    drop(value);
    return holds;
}

// A str's ASCII text lies where it is read, and only such a str says that it is ASCII.
static bool texts_hold(void) {
    // Not pointers: nobody would relocate them.
    static const char texts[][24] = {"hello, world", "h\xc3\xa9llo, world", "\xe4\xb8\xad\xe6\x96\x87 abc"};
    bool hold = true;
    for (size_t at = 0; at < 3; at++) {
        ptrdiff_t size = 0, read = 0;
        while (texts[at][size]) size++;
        object *value = PyUnicode_FromStringAndSize(texts[at], size);
        if (!value) return false;
        const struct text *text = (const struct text *)value;
        const char *utf8 = PyUnicode_AsUTF8AndSize(value, &read);
        bool ascii = at == 0;
        hold &= read == size && value->type == known.text;
        hold &= ((text->state & COMPACT_ASCII) == COMPACT_ASCII) == ascii && (utf8 == text->ascii) == ascii;
        hold &= !ascii || text->length == (size_t)size;
        drop(value);
    }
    return hold;
}

static bool bytes_hold(void) {
    object *value = PyBytes_FromStringAndSize("a\0bc", 4);
    if (!value) return false;
    const struct bytes *bytes = (const struct bytes *)value;
    bool holds = PyBytes_AsString(value) == bytes->data && bytes->size == 4 && value->type == known.bytes;
    drop(value);
    return holds;
}

static bool counts_hold(void) {
    object *value = PyLong_FromLongLong(INT64_C(1) << 40);
    if (!value) return false;
    bool holds = value->count == 1;
    Py_IncRef(value);
    holds &= value->count == 2;
    drop(value);
    holds &= value->count == 1;
    drop(value);
    return holds && known.none->count >= IMMORTAL;
}

bool learn(void) {
    if (known.ready) return true;
    known.none = Py_GetConstantBorrowed(CONSTANT_NONE);
    known.no = Py_GetConstantBorrowed(CONSTANT_FALSE);
    known.yes = Py_GetConstantBorrowed(CONSTANT_TRUE);
    known.integer = PyObject_Type(Py_GetConstantBorrowed(CONSTANT_ZERO));
    known.text = PyObject_Type(Py_GetConstantBorrowed(CONSTANT_TEXT));
    known.bytes = PyObject_Type(Py_GetConstantBorrowed(CONSTANT_BYTES));
    object *value = PyFloat_FromDouble(0.5);
    if (!value) {
        PyErr_Clear();
        return false;
    }
    known.floating = PyObject_Type(value);
    drop(value);
    known.layouts = true;
    known.layouts = integers_hold() && floats_hold() && texts_hold() && bytes_hold() && counts_hold();
    if (PyErr_Occurred()) {
        // Memory ran out in the middle: the next call tries again.
        PyErr_Clear();
        return false;
    }
    known.ready = true;
    return true;
}

// Whether the layouts hold, for the tests: without them everything works, only slower.
EXPORT uint32_t layouts_hold(void) {
    int state = PyGILState_Ensure();
    bool holds = learn() && known.layouts;
    PyGILState_Release(state);
    return holds;
}
