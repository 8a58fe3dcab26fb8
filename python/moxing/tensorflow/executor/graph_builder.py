"""The Python front end: calls the user's functions, and gathers the graph that they build for the engine.

Follows src/run/graph_builder.cc, its C++ counterpart, step by step.
"""
import contextlib

from moxing.errors import InvalidArgumentError, UnsupportedError
from moxing.tensorflow._graph_state import new_graph, state_of
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.executor import keras_layers, model, user_functions
from moxing.tensorflow.executor.hook_adapter import Hooks
from moxing.tensorflow.executor.input import Input
from moxing.tensorflow.executor.scopes import tower_collections
from moxing.tensorflow.optimizer.engine_optimizer import EngineOptimizer


def _in_scopes(name, scopes):
    return not scopes or any(name == scope or name.startswith(scope.rstrip("/") + "/") for scope in scopes)


def _learning_rate(optimizer, graph):
    """The name of the optimizer's learning rate tensor; "" when it has none that is known."""
    for attribute in ("_learning_rate_tensor", "_lr_t", "_learning_rate", "_lr"):
        value = getattr(optimizer, attribute, None)
        if isinstance(value, tf.Tensor) and getattr(value, "graph", None) is graph:
            return value.name
    return ""


def _update_name(update):
    return update.name if isinstance(update, tf.Operation) else update.op.name


class GraphBuilder:
    """Builds the graph of TRAIN, EVAL or PREDICT. The builder must live as long as the run: Python functions do."""

    def __init__(self, functions, config, mode, inter_mode, auto_batch, seed, errors):
        self._functions = functions
        self._config = config
        self._mode = mode
        self._inter_mode = inter_mode
        self._auto_batch = auto_batch
        self._seed = seed
        self._errors = errors
        self._several = config.num_gpus > 1
        self._gradients = []  # [loss][tower]: list of (gradient, variable)
        self._network_losses = []
        self._graphs = []
        self._input = None
        self._inter_input = None
        self.hooks = Hooks()
        self._scale = None
        self._raw_gradients = []  # names of the operations that unscale each device's gradients

    def build(self):
        self._input = Input(self._functions.input_fn, self._config, self._mode, self._auto_batch, self._seed, self._errors)
        if self._inter_mode:
            self._inter_input = Input(self._functions.input_fn, self._config, self._inter_mode, self._auto_batch,
                                      self._seed, self._errors, num_towers=1, name="inter_input")
            engine.check_same_run_classes(self._input.class_names, self._inter_input.class_names,
                                          f"inter_mode {self._inter_mode}")
        graph = new_graph(self._seed)
        self._graphs.append(graph)
        built = engine.BuiltGraph(self._mode)
        with graph.as_default(), self._errors.recording():
            global_step = model.make_global_step()
            self._input.import_into_current_graph()
            built.towers = [self._build_tower(i, built) for i in range(self._config.num_gpus)]
            model.check_made_by_get_variable(self._config.num_gpus)
            if self._mode == "TRAIN":
                self._build_training(built, global_step)
            if self._inter_mode:
                self._build_inter(built)
            self.hooks.begin()
            self._finish(graph, built)
        inputs = [self._input] + ([self._inter_input] if self._inter_input else [])
        built.initializers = [op for i in inputs for op in i.initializers()] + built.initializers
        built.feeds = [feed for i in inputs for feed in i.feeds()] + state_of(graph).feeds
        built.class_names = self._input.class_names
        built.samples_per_step = self._input.batch_size * self._config.num_gpus
        return built

    def build_export(self):
        graph = new_graph(self._seed)
        self._graphs.append(graph)
        built = engine.BuiltGraph("EXPORT")
        with graph.as_default():
            model.make_global_step()
            inputs = self._input.export_placeholders(self._auto_batch)
            spec = model.call_model_fn(self._functions.model_fn, inputs, "EXPORT").export_spec
            built.set_export_info(
                model.named_tensors(spec.inputs_dict, "export_spec.inputs_dict", "EXPORT"),
                model.named_tensors(spec.outputs_dict, "export_spec.outputs_dict", "EXPORT"), str(spec.version))
            if graph.get_collection(tf.GraphKeys.TABLE_INITIALIZERS):
                raise UnsupportedError("model_fn uses lookup tables in EXPORT mode, which this version does not export; "
                                       "leave the look-up to the client")
            self._finish(graph, built)
        built.class_names = self._input.class_names
        return built

    def _finish(self, graph, built):
        built.variables = model.variable_infos(self._mode if built.towers else "EXPORT")
        built.initializers = ([v.initializer.name for v in tf.local_variables()]
                              + [op.name for op in graph.get_collection(tf.GraphKeys.TABLE_INITIALIZERS)]
                              + state_of(graph).initializers)
        built.set_graph(graph.as_graph_def().SerializeToString())

    @contextlib.contextmanager
    def _tower_scope(self, tower, inter=False):
        with contextlib.ExitStack() as stack:
            if self._several or inter:
                stack.enter_context(tf.name_scope("inter" if inter else f"tower_{tower}"))
            device = self._config.devices.inter() if inter else self._config.devices.tower(tower)
            if device:
                stack.enter_context(tf.device(device))
            if tower > 0 or inter:
                stack.enter_context(tf.variable_scope(tf.get_variable_scope(), reuse=True, auxiliary_name_scope=False))
            stack.enter_context(tower_collections(tf.get_default_graph(), tower, self._network_losses, device))
            yield

    def _build_tower(self, tower, built):
        with self._tower_scope(tower):
            spec = model.call_model_fn(self._functions.model_fn, self._input.tower(tower), self._mode)
            info = engine.TowerInfo()
            info.inputs = [tensor.name for tensor in self._input.tower(tower)]
            info.losses = [loss.name for loss in spec.losses()]
            info.log_info = model.named_tensors(spec.log_info, "log_info", self._mode, scalars=True)
            info.output_info = model.named_tensors(spec.output_info, "output_info", self._mode)
            info.hooks = self.hooks.of_spec(spec)
            if tower == 0:
                # The summaries and the moving averages are the first device's, as in TF-slim's deployment.
                built.summaries = [summary.name for summary in tf.get_collection(tf.GraphKeys.SUMMARIES)]
                if self._mode == "TRAIN":
                    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) + keras_layers.updates(tf.get_default_graph())
                    built.train_ops = list(dict.fromkeys(_update_name(update) for update in updates))
                networks = {id(loss) for loss in state_of().network_losses}
                self._network_losses = [loss for loss in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
                                        if id(loss) not in networks]
            if self._mode == "TRAIN":
                for i, (loss, scopes) in enumerate(zip(spec.losses(), spec.scopes())):
                    if tower == 0:
                        self._gradients.append([])
                    self._gradients[i].append(self._gradients_of(loss, scopes))
        return info

    def _build_inter(self, built):
        """The graph of inter_mode: its own input, and model_fn once more on the variables that there are."""
        self._inter_input.import_into_current_graph("inter_mode")
        known = tf.global_variables()
        with self._tower_scope(self._config.num_gpus, inter=True):
            spec = model.call_model_fn(self._functions.model_fn, self._inter_input.tower(0), self._inter_mode)
            hooks = self.hooks.of_spec(spec, inter=True)
        model.check_made_no_variable(known, self._inter_mode)
        built.set_inter(self._inter_mode, hooks, self._inter_input.initializers()[-1], self._inter_input.feeds())

    def _gradients_of(self, loss, scopes):
        include = engine.get_flag("trainable_include_patterns")
        exclude = engine.get_flag("trainable_exclude_patterns")
        variables = [v for v in tf.trainable_variables()
                     if _in_scopes(v.op.name, scopes) and engine.trainable(v.op.name, include, exclude)]
        scaled = loss
        if self._config.scales_loss:
            scaled = tf.multiply(loss, tf.cast(self._loss_scale(), loss.dtype), name="scaled_loss")
        gradients = tf.gradients(scaled, variables) if variables else []
        # Sparse gradients (of embeddings) are summed over devices as dense ones.
        found = [(self._raw_gradient(g, v), v) for g, v in zip(gradients, variables) if g is not None]
        if not found:
            raise InvalidArgumentError(
                f"the loss '{loss.name}' depends on no trainable variable: nothing can be trained (look at var_scopes and "
                "trainable_*_patterns, and make variables with tf.get_variable)")
        return found

    def _loss_scale(self):
        """One constant for all losses: the engine may put a variable in its place."""
        if self._scale is None:
            with tf.device(None), tf.name_scope(None), tf.control_dependencies(None):
                self._scale = tf.constant(self._config.loss_scale, tf.float32, name="loss_scale")
        return self._scale

    def _raw_gradient(self, gradient, variable):
        """An identity, where the engine takes the loss scale back out."""
        with tf.name_scope("raw_gradients"):
            identity = tf.identity(tf.convert_to_tensor(gradient), name=variable.op.name)
        self._raw_gradients.append(identity.op.name)
        return identity

    def _build_training(self, built, global_step):
        built.global_step = global_step.op.name
        device = self._config.devices.variables() or None
        summaries = len(tf.get_collection(tf.GraphKeys.SUMMARIES))
        optimizers = self._optimizers()  # on no device: learning rates are the host's
        with tf.device(device):
            # The optimizer takes Identities, which the engine fills with the joined gradients.
            joined = [self._joined(towers[0]) for towers in self._gradients]
            prepared, updates = self._apply(optimizers, joined)
            slots = [slot for i, pairs in enumerate(joined) for slot in self._slots(i, prepared[i], pairs)]
            built.gradients = slots
            rates = [_learning_rate(optimizer, tf.get_default_graph()) for optimizer in optimizers]
            built.learning_rates = list(dict.fromkeys(rate for rate in rates if rate))
            # After the updates: everything in the step sees the step's own number.
            with tf.control_dependencies(updates):
                increment = global_step.assign_add(1, name="increment_global_step", read_value=False)
        built.increment = _update_name(increment)
        # Those that the optimizer made, of its gradients.
        built.summaries = built.summaries + [s.name for s in tf.get_collection(tf.GraphKeys.SUMMARIES)[summaries:]]
        built.set_scaled_gradients("" if self._scale is None else self._scale.op.name, self._raw_gradients)
        built.train_ops = built.train_ops + [_update_name(op) for op in updates + [increment]]

    def _apply(self, optimizers, joined):
        """The gradients that are to be joined, [loss][tower], and the operations of all updates."""
        prepared = list(self._gradients)
        updates = []
        # Of several losses, none moves a variable that another's gradient still reads.
        raw = [g for towers in self._gradients for pairs in towers for g, _ in pairs] if len(joined) > 1 else []
        engines = {}
        for i, (optimizer, pairs) in enumerate(zip(optimizers, joined)):
            if isinstance(optimizer, EngineOptimizer):
                engines.setdefault(id(optimizer), (optimizer, []))[1].append(i)
                continue
            with tf.control_dependencies(raw):
                updates.append(optimizer.apply_gradients(pairs))
        plan = self._config.devices
        devices = [plan.tower(i) for i in range(self._config.num_gpus)]
        for optimizer, losses in engines.values():
            with tf.control_dependencies(raw):
                applied = [[(tf.identity(g), v) for g, v in joined[i]] for i in losses]
            own, operations = optimizer.join_and_apply([self._gradients[i] for i in losses], applied, devices, plan.variables())
            for i, towers in zip(losses, own):
                prepared[i] = towers
            updates += [operation for of_loss in operations for operation in of_loss]
        return prepared, updates

    def _optimizers(self):
        """One a loss."""
        functions = self._functions.optimizer_fn
        if isinstance(functions, (list, tuple)):
            made = [user_functions.call("optimizer_fn", function) for function in functions]
        else:
            made = user_functions.call("optimizer_fn", functions)
        optimizers = list(made) if isinstance(made, (list, tuple)) else [made] * len(self._gradients)
        if len(optimizers) != len(self._gradients):
            raise InvalidArgumentError(f"optimizer_fn returned {len(optimizers)} optimizers for {len(self._gradients)} losses; "
                                       "return one, or one a loss")
        for optimizer in optimizers:
            if not isinstance(optimizer, tf.train.Optimizer):
                raise InvalidArgumentError(f"optimizer_fn returned {type(optimizer).__name__}; return an optimizer of "
                                           "tf.compat.v1.train, or what mox.get_optimizer_fn(…)() returns")
        return optimizers

    def _joined(self, gradients):
        pairs = []
        for gradient, variable in gradients:
            with tf.name_scope("joined_gradients/"):
                pairs.append((tf.identity(gradient, name=variable.op.name), variable))
        return pairs

    def _slots(self, loss, towers, joined):
        by_variable = [{id(v): g for g, v in gradients} for gradients in towers]
        for slot, variable in joined:
            names = [of[id(variable)].name for of in by_variable if id(variable) in of]
            yield engine.GradientSlot(slot.op.name, variable.op.name, names, loss)
