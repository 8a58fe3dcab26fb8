"""What is done to an image before a network sees it, by the network's name."""
from moxing._arguments import Integer, Text, checked, set_field
from moxing.errors import InvalidArgumentError
from moxing.tensorflow._fragments import image_tensor, import_fragment, shape_list
from moxing.tensorflow._graph_state import fragment_seed
from moxing.tensorflow._runtime import engine


class PreprocessingKeys:
    """LENET = 'lenet_preprocessing', …"""


def note_preprocessing_keys():
    for name in engine.preprocessing_names():
        setattr(PreprocessingKeys, name.upper(), engine.preprocessing_meta(name)[0])


note_preprocessing_keys()


@checked
def get_data_augmentation_fn(name: Text("the name of a network"), run_mode: Text("TRAIN, EVAL or PREDICT"),
                             output_height: Integer(0, engine.MAX_IMAGE_SIDE) = None,
                             output_width: Integer(0, engine.MAX_IMAGE_SIDE) = None, **kwargs):
    """A function image -> image on one [height, width, channels] image: random in TRAIN, the same each time otherwise.

    kwargs: resize_side_min, resize_side_max, fast_mode, central_fraction, area_min, padding; each preprocessing reads its
    own.
    """
    options = engine.AugmentationOptions()
    for key, value in kwargs.items():
        if key.startswith("_") or not hasattr(options, key):
            known = ", ".join(k for k in dir(options) if not k.startswith("_"))
            raise InvalidArgumentError(f"get_data_augmentation_fn has no argument '{key}'; there are also: {known}")
        set_field(options, key, value, "get_data_augmentation_fn")
    height, width = output_height or 0, output_width or 0
    engine.check_augmentation(name, run_mode, height, width, options)

    def augmentation_fn(image):
        image = image_tensor(image, f"the preprocessing of {name}")
        fragment = engine.augmentation(name, run_mode, height, width, options, image.dtype.as_datatype_enum,
                                       shape_list(image.shape), fragment_seed())
        return import_fragment(fragment, "augment_" + name, [image])[0][1]

    return augmentation_fn
