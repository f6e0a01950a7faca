//! Simple Python objects from and to Rust values. Reading is exact: an object of any other type than the very builtin
//! one (a bool for an int, a subclass, a numpy scalar) is `None` here, and somebody else's business.
//!
//! pyo3 has safe functions for most of this. These differ in that they never panic when memory is short, and take the
//! shortest way for ASCII text.

use pyo3::prelude::*;
use pyo3::{PyErr, ffi};

/// What a constructor of CPython gave: a new reference, or null and an exception.
fn owned(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: every caller is a function of this file that passes the result of a constructor, which gives its caller
    // a new reference or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, object) }
}

/// A Python int.
#[inline]
pub(in crate::thread) fn int(py: Python<'_>, value: i64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: this thread is attached.
    owned(py, unsafe { ffi::PyLong_FromLongLong(value) })
}

/// A Python int.
#[inline]
pub(in crate::thread) fn unsigned(py: Python<'_>, value: u64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: this thread is attached.
    owned(py, unsafe { ffi::PyLong_FromUnsignedLongLong(value) })
}

/// A Python float.
#[inline]
pub(in crate::thread) fn float(py: Python<'_>, value: f64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: this thread is attached.
    owned(py, unsafe { ffi::PyFloat_FromDouble(value) })
}

/// `True` or `False`.
#[inline]
pub(in crate::thread) fn boolean(py: Python<'_>, value: bool) -> Bound<'_, PyAny> {
    // SAFETY: both are borrowed references to objects that live as long as the interpreter.
    unsafe { Bound::from_borrowed_ptr(py, if value { ffi::Py_True() } else { ffi::Py_False() }) }
}

/// `None`.
#[inline]
pub(in crate::thread) fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    // SAFETY: a borrowed reference to an object that lives as long as the interpreter.
    unsafe { Bound::from_borrowed_ptr(py, ffi::Py_None()) }
}

/// A Python str.
#[inline]
pub(in crate::thread) fn str<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    // A length of an allocation fits the signed type.
    let length = text.len() as ffi::Py_ssize_t;
    if !text.is_ascii() {
        // SAFETY: this thread is attached; pointer and length are those of a string.
        return owned(py, unsafe { ffi::PyUnicode_DecodeUTF8(text.as_ptr().cast(), length, std::ptr::null()) });
    }
    // SAFETY: this thread is attached.
    let object = owned(py, unsafe { ffi::PyUnicode_New(length, 127) })?;
    if !text.is_empty() {
        // SAFETY: a new str with room for `length` characters of one byte each, of which nobody else knows yet; ASCII
        // characters are what it was made for.
        unsafe {
            let data = ffi::PyUnicode_DATA(object.as_ptr()).cast::<u8>();
            std::ptr::copy_nonoverlapping(text.as_ptr(), data, text.len());
        }
    }
    Ok(object)
}

/// Python bytes.
#[inline]
pub(in crate::thread) fn bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: this thread is attached; pointer and length are those of a slice, and CPython copies it.
    owned(py, unsafe { ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t) })
}

/// The value of an exact int that an i64 holds.
#[inline]
pub(in crate::thread) fn as_i64(object: &Bound<'_, PyAny>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: a live object; the second function gets an int, and then cannot fail but by overflow.
    unsafe {
        if ffi::PyLong_CheckExact(object.as_ptr()) == 0 {
            return None;
        }
        let value = ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &mut overflow);
        (overflow == 0).then_some(value)
    }
}

/// The value of an exact int that a u64 holds.
#[inline]
pub(in crate::thread) fn as_u64(object: &Bound<'_, PyAny>) -> Option<u64> {
    if let Some(value) = as_i64(object) {
        return u64::try_from(value).ok();
    }
    // SAFETY: a live object, and an int where that matters.
    let value = unsafe {
        if ffi::PyLong_CheckExact(object.as_ptr()) == 0 {
            return None;
        }
        ffi::PyLong_AsUnsignedLongLong(object.as_ptr())
    };
    if value == u64::MAX && PyErr::take(object.py()).is_some() {
        return None;
    }
    Some(value)
}

/// The value of an exact float.
#[inline]
pub(in crate::thread) fn as_f64(object: &Bound<'_, PyAny>) -> Option<f64> {
    // SAFETY: a live object, and a float where its field is read.
    unsafe { (ffi::PyFloat_CheckExact(object.as_ptr()) != 0).then(|| ffi::PyFloat_AS_DOUBLE(object.as_ptr())) }
}

/// The value of a bool.
#[inline]
pub(in crate::thread) fn as_bool(object: &Bound<'_, PyAny>) -> Option<bool> {
    // SAFETY: only the addresses of the two objects are compared; there are no others of their type.
    unsafe {
        if object.as_ptr() == ffi::Py_True() {
            Some(true)
        } else if object.as_ptr() == ffi::Py_False() {
            Some(false)
        } else {
            None
        }
    }
}

/// The text of an exact str; none if it holds lone surrogates.
#[inline]
pub(in crate::thread) fn as_str<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    let mut length = 0;
    // SAFETY: a live object, and a str where that matters. CPython keeps the UTF-8 form with the object, which is not
    // changed and outlives the borrow.
    unsafe {
        if ffi::PyUnicode_CheckExact(object.as_ptr()) == 0 {
            return None;
        }
        let data = ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), &mut length);
        if data.is_null() {
            drop(PyErr::take(object.py()));
            return None;
        }
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        Some(std::str::from_utf8_unchecked(bytes))
    }
}

/// The content of exact bytes.
#[inline]
pub(in crate::thread) fn as_bytes<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a [u8]> {
    // SAFETY: a live object, and bytes where that matters. Bytes are not changed and outlive the borrow.
    unsafe {
        if ffi::PyBytes_CheckExact(object.as_ptr()) == 0 {
            return None;
        }
        let data = ffi::PyBytes_AS_STRING(object.as_ptr()).cast::<u8>();
        Some(std::slice::from_raw_parts(data, ffi::Py_SIZE(object.as_ptr()) as usize))
    }
}
