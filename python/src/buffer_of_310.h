// The buffer protocol for code that is compiled for Python 3.10 and all later ones: it is part of their common
// interface since 3.11, with the layout that it has in 3.10.
#pragma once

#include <Python.h>

#if defined(Py_LIMITED_API) && Py_LIMITED_API + 0 < 0x030b0000

extern "C" {

struct Py_buffer {
  void* buf;
  PyObject* obj;  // owned
  Py_ssize_t len;
  Py_ssize_t itemsize;
  int readonly;
  int ndim;
  char* format;
  Py_ssize_t* shape;
  Py_ssize_t* strides;
  Py_ssize_t* suboffsets;
  void* internal;
};

PyAPI_FUNC(int) PyObject_GetBuffer(PyObject* object, Py_buffer* view, int flags);
PyAPI_FUNC(void) PyBuffer_Release(Py_buffer* view);

constexpr int PyBUF_SIMPLE = 0, PyBUF_WRITABLE = 1;

}  // extern "C"

#endif
