"""Learning rates that change with the global step."""
from moxing._arguments import Integer, Text, checked
from moxing.tensorflow._fragments import import_fragment
from moxing.tensorflow._runtime import engine


@checked
def piecewise_lr(lr_strategy: Text("a text such as '10:0.1,20:0.01'"), num_samples: Integer(1, engine.MAX_SAMPLES),
                 global_batch_size: Integer(1, engine.MAX_BATCH_SIZE * engine.MAX_DEVICES)):
    """The rate at the current global step, a scalar tensor; to be called in optimizer_fn or model_fn.

    lr_strategy: "5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08", entries END_EPOCH:VALUE; `a->b` is linear, `a=>b` exponential.
    """
    return import_fragment(engine.piecewise_lr(lr_strategy, num_samples, global_batch_size), "piecewise_lr")[0][1]
