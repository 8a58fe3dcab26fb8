#include "module.h"

NB_MODULE(_engine, m) {
  // Callbacks and tensors may live until the interpreter is gone: that is no leak to report to a user.
  nanobind::set_leak_warnings(false);
  mox::python::bind_base(m);
  mox::python::bind_hooks(m);
  mox::python::bind_run(m);
  mox::python::bind_graph_assembly(m);
  mox::python::bind_fragments(m);
  mox::python::bind_optimizers(m);
  mox::python::bind_datasets(m);
}
