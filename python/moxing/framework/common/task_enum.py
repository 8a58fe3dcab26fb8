"""What a model is for, as scripts name it."""

IMAGE_CLASSIFICATION = "image_classification"
MULTI_LABEL_CLASSIFICATION = "multi_label_classification"
OBJECT_DETECTION = "image_object_detection"


def is_task_imgcls(task_type):
    return task_type in (IMAGE_CLASSIFICATION, MULTI_LABEL_CLASSIFICATION)
