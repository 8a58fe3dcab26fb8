# TensorFlow's C++ runtime and headers as the pip wheel ships them. Defines the target tensorflow::cc.
# Input: MOX_PYTHON (a Python that has tensorflow; default .venv/bin/python) or TENSORFLOW_DIR (…/site-packages/tensorflow).
if(NOT TENSORFLOW_DIR)
  if(NOT MOX_PYTHON)
    if(SKBUILD)
      set(MOX_PYTHON ${Python_EXECUTABLE})  # pip's: the package is built against its TensorFlow
    elseif(EXISTS ${PROJECT_SOURCE_DIR}/.venv/bin/python)
      set(MOX_PYTHON ${PROJECT_SOURCE_DIR}/.venv/bin/python)
    else()
      set(MOX_PYTHON python3)
    endif()
  endif()
  execute_process(
    COMMAND ${MOX_PYTHON} -c "import importlib.util as u; print(u.find_spec('tensorflow').submodule_search_locations[0])"
    OUTPUT_VARIABLE TENSORFLOW_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_VARIABLE _tf_error)
endif()
find_path(TENSORFLOW_INCLUDE tensorflow/core/public/session.h PATHS ${TENSORFLOW_DIR}/include NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorFlowWheel REQUIRED_VARS TENSORFLOW_DIR TENSORFLOW_INCLUDE
  REASON_FAILURE_MESSAGE "run `make setup`, or `pip install tensorflow-cpu==2.21.0` and pass -DMOX_PYTHON=…/python. ${_tf_error}")
if(TensorFlowWheel_FOUND AND NOT TARGET tensorflow::cc)
  add_library(tensorflow::cc INTERFACE IMPORTED GLOBAL)
  target_include_directories(tensorflow::cc SYSTEM INTERFACE ${TENSORFLOW_INCLUDE})
  # The wheel was built with this alignment; another one corrupts tensors that cross the boundary.
  target_compile_definitions(tensorflow::cc INTERFACE EIGEN_MAX_ALIGN_BYTES=64)
  target_link_directories(tensorflow::cc INTERFACE ${TENSORFLOW_DIR})
  target_link_libraries(tensorflow::cc INTERFACE -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2)
endif()
