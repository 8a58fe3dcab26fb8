"""What MoXing notes about a tf.Graph while user functions build it."""
from tensorflow.python.eager import context

from moxing.tensorflow._runtime import tf


class GraphState:
    def __init__(self):
        self.managed = False       # a graph of mox.run's: the engine feeds and initialises its iterators
        self.feeds = []            # (placeholder, engine tensor): data sets in memory
        self.initializers = []     # ops that make iterators, run once with the feeds
        self.class_names = []      # in label order, when a data set knows them
        self.force_dtypes = []     # of the mox.var_scope that are entered, innermost last
        self.tower = 0             # device whose model_fn is being called
        self.device = ""           # its name; "" = where the runtime wants
        self.regularized = set()   # (tower, variable): the networks' weight decay counts once
        self.network_losses = []   # regularization losses of networks: they belong to one tower
        self.layer_variables = None  # that Keras layers made on the first device, see executor/unnamed_layers.py
        self.global_step = None    # see executor/model.py


def state_of(graph=None):
    """The state of `graph`, by default of the current one; inside a function being traced, of the graph around it."""
    graph = graph or tf.get_default_graph()
    while True:
        outer = getattr(graph, "outer_graph", None) or getattr(graph, "_outer_graph", None)
        if outer is None:
            break
        graph = outer
    state = getattr(graph, "_moxing_state", None)
    if state is None:
        state = graph._moxing_state = GraphState()
    return state


def new_graph(seed):
    """An empty graph whose variables are resources, the only kind that the engine runs."""
    graph = tf.Graph()
    graph.seed = seed
    state_of(graph).managed = True
    with graph.as_default():
        tf.get_variable_scope().set_use_resource(True)
    return graph


def user_seed():
    """What tf.set_random_seed set outside of our graphs; None when it was not called."""
    return context.global_seed() if tf.executing_eagerly() else tf.get_default_graph().seed


def fragment_seed():
    """Seed for a part that is built in C++, after the graph's seed and the place in it; 0: not seeded."""
    graph_seed, op_seed = tf.get_seed(None)
    if graph_seed is None:
        return 0
    return (graph_seed * 1000003 + op_seed) % (2**31 - 1) + 1
