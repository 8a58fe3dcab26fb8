"""The Python front end: calls the user's functions, names what they build and computes the gradients.

The engine's GraphAssembly (src/run/graph_assembly.h) checks what they returned, says where things go and gathers the graph.
"""
import contextlib

from moxing.errors import UnsupportedError
from moxing.tensorflow._graph_state import new_graph, state_of
from moxing.tensorflow._runtime import engine, tf
from moxing.tensorflow.executor import keras_layers, model, returned, user_functions
from moxing.tensorflow.executor.hook_adapter import Hooks
from moxing.tensorflow.executor.input import Input
from moxing.tensorflow.executor.scopes import tower_collections
from moxing.tensorflow.optimizer.engine_optimizer import EngineOptimizer


def _learning_rates(optimizers, graph):
    """The names of the optimizers' learning rate tensors, as far as they are known."""
    for optimizer in optimizers:
        for attribute in ("_learning_rate_tensor", "_lr_t", "_learning_rate", "_lr"):
            value = getattr(optimizer, attribute, None)
            if isinstance(value, tf.Tensor) and getattr(value, "graph", None) is graph:
                yield value.name
                break


def _update_name(update):
    return update.name if isinstance(update, tf.Operation) else update.op.name


def _names(gradients):
    return [(variable.op.name, gradient.name) for gradient, variable in gradients]


class GraphBuilder:
    """Builds the graph of TRAIN, EVAL or PREDICT. The builder must live as long as the run: Python functions do."""

    def __init__(self, functions, config, seed, errors, progress=None):
        self._functions = functions
        self._config = config
        self._mode = config.run_mode
        self._inter_mode = config.inter_mode
        self._seed = seed
        self._errors = errors
        self._progress = progress
        self._assembly = engine.GraphAssembly(config)
        self._gradients = []  # [loss][tower]: list of (gradient, variable)
        self._network_losses = []
        self._graphs = []
        self._input = None
        self._inter_input = None
        self.hooks = Hooks()
        self._scale = None

    def build(self):
        self._input = Input(self._assembly, self._functions.input_fn, self._mode, self._seed, self._errors)
        if self._inter_mode:
            self._inter_input = Input(self._assembly, self._functions.input_fn, self._inter_mode, self._seed, self._errors,
                                      inter=True)
        graph = new_graph(self._seed)
        self._graphs.append(graph)
        with graph.as_default(), self._errors.recording():
            global_step = model.make_global_step()
            self._input.import_into_current_graph()
            for i in range(self._config.num_gpus):
                self._build_tower(i)
            model.check_made_by_get_variable(self._config.num_gpus)
            if self._mode == "TRAIN":
                self._build_training(global_step)
            if self._inter_mode:
                self._build_inter()
            self.hooks.begin()
            return self._assembly.finish(*self._contents(graph, self._mode))

    def build_export(self):
        graph = new_graph(self._seed)
        self._graphs.append(graph)
        with graph.as_default():
            model.make_global_step()
            inputs = self._input.export_placeholders(self._config.auto_batch)
            inputs = self._input.for_model(inputs)
            spec = returned.spec(model.call_model_fn(self._functions.model_fn, inputs, "EXPORT"), "EXPORT")
            if graph.get_collection(tf.GraphKeys.TABLE_INITIALIZERS):
                raise UnsupportedError("model_fn uses lookup tables in EXPORT mode, which this version does not export; "
                                       "leave the look-up to the client")
            built = engine.assemble_export(spec, *self._contents(graph, "EXPORT"))
        built.class_names = self._input.class_names
        return built

    def _contents(self, graph, mode):
        state = state_of(graph)
        initializers = ([v.initializer.name for v in tf.local_variables()]
                        + [op.name for op in graph.get_collection(tf.GraphKeys.TABLE_INITIALIZERS)] + state.initializers)
        return graph.as_graph_def().SerializeToString(), model.variable_infos(mode), initializers, state.feeds

    @contextlib.contextmanager
    def _at(self, place, tower):
        with contextlib.ExitStack() as stack:
            if place.name_scope:
                stack.enter_context(tf.name_scope(place.name_scope))
            if place.device:
                stack.enter_context(tf.device(place.device))
            if place.reuses_variables:
                stack.enter_context(tf.variable_scope(tf.get_variable_scope(), reuse=True, auxiliary_name_scope=False))
            stack.enter_context(tower_collections(tf.get_default_graph(), tower, self._network_losses, place.device))
            yield

    def _build_tower(self, tower):
        inputs = self._input.tower(tower)
        with self._at(self._assembly.tower(tower), tower):
            spec = model.call_model_fn(self._functions.model_fn, self._input.for_model(inputs), self._mode)
            description = returned.spec(spec, self._mode)
            hooks = self.hooks.of_spec(spec) + ([] if self._progress is None else [self._progress.hook(tower)])
            summaries = [summary.name for summary in tf.get_collection(tf.GraphKeys.SUMMARIES)]
            updates = []
            if self._mode == "TRAIN":
                updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS) + keras_layers.updates(tf.get_default_graph())
            self._assembly.add_tower(description, [tensor.name for tensor in inputs], hooks, summaries,
                                     [_update_name(update) for update in updates])
            if tower == 0:
                networks = {id(loss) for loss in state_of().network_losses}
                self._network_losses = [loss for loss in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
                                        if id(loss) not in networks]
            if self._mode == "TRAIN":
                for i, loss in enumerate(spec.losses()):
                    if tower == 0:
                        self._gradients.append([])
                    self._gradients[i].append(self._gradients_of(i, loss))

    def _build_inter(self):
        """The graph of inter_mode: its own input, and model_fn once more on the variables that there are."""
        self._inter_input.import_into_current_graph()
        known = tf.global_variables()
        with self._at(self._assembly.inter(), self._config.num_gpus):
            inputs = self._inter_input.for_model(self._inter_input.tower(0))
            spec = model.call_model_fn(self._functions.model_fn, inputs, self._inter_mode)
            description = returned.spec(spec, self._inter_mode)
            hooks = self.hooks.of_spec(spec, inter=True)
        model.check_made_no_variable(known, self._inter_mode)
        self._assembly.add_inter(description, hooks)

    def _gradients_of(self, number, loss):
        variables = tf.trainable_variables()
        trained = [variables[i] for i in self._assembly.trained(number, [v.op.name for v in variables])]
        scaled = loss
        if self._config.scales_loss:
            scaled = tf.multiply(loss, tf.cast(self._loss_scale(), loss.dtype), name="scaled_loss")
        gradients = tf.gradients(scaled, trained) if trained else []
        # Sparse gradients (of embeddings) are summed over devices as dense ones.
        found = [(self._raw_gradient(g, v), v) for g, v in zip(gradients, trained) if g is not None]
        self._assembly.add_gradients(number, _names(found))
        return found

    def _loss_scale(self):
        """One constant for all losses: the engine may put a variable in its place."""
        if self._scale is None:
            with tf.device(None), tf.name_scope(None), tf.control_dependencies(None):
                self._scale = tf.constant(self._config.loss_scale, tf.float32, name="loss_scale")
        return self._scale

    @staticmethod
    def _raw_gradient(gradient, variable):
        """An identity, where the engine takes the loss scale back out."""
        with tf.name_scope("raw_gradients"):
            return tf.identity(tf.convert_to_tensor(gradient), name=variable.op.name)

    def _build_training(self, global_step):
        summaries = len(tf.get_collection(tf.GraphKeys.SUMMARIES))
        optimizers = self._optimizers()  # on no device: learning rates are the host's
        with tf.device(self._assembly.variable_device or None):
            # The optimizer takes Identities, which the engine fills with the joined gradients.
            joined = [self._joined(towers[0]) for towers in self._gradients]
            prepared, updates = self._apply(optimizers, joined)
            for i, pairs in enumerate(joined):
                self._assembly.add_slots(i, [_names(tower) for tower in prepared[i]], [slot.op.name for slot, _ in pairs])
            # After the updates: everything in the step sees the step's own number.
            with tf.control_dependencies(updates):
                increment = global_step.assign_add(1, name="increment_global_step", read_value=False)
        self._assembly.add_training(
            global_step.op.name, [_update_name(op) for op in updates], _update_name(increment),
            list(_learning_rates(optimizers, tf.get_default_graph())),
            [summary.name for summary in tf.get_collection(tf.GraphKeys.SUMMARIES)[summaries:]],
            "" if self._scale is None else self._scale.op.name)

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
        devices = [self._assembly.tower(i).device for i in range(self._config.num_gpus)]
        for optimizer, losses in engines.values():
            with tf.control_dependencies(raw):
                applied = [[(tf.identity(g), v) for g, v in joined[i]] for i in losses]
            own, operations = optimizer.join_and_apply([self._gradients[i] for i in losses], applied, devices,
                                                       self._assembly.variable_device)
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
        optimizers = list(made) if isinstance(made, (list, tuple)) else [made]
        engine.check_optimizer_count(len(optimizers), len(self._gradients))
        for optimizer in optimizers:
            if not isinstance(optimizer, tf.train.Optimizer):
                engine.reject_optimizer(type(optimizer).__name__)
        return optimizers if len(optimizers) > 1 else optimizers * len(self._gradients)

    @staticmethod
    def _joined(gradients):
        pairs = []
        for gradient, variable in gradients:
            with tf.name_scope("joined_gradients/"):
                pairs.append((tf.identity(gradient, name=variable.op.name), variable))
        return pairs
