"""A model that embeds only once two nodes have begun to, and notes for each how many cores it may use."""

import os
import time
from pathlib import Path

from own_model import Telling

PATIENCE_S = 60.0


class Meeting(Telling):
    """`own_model.Telling` on a cluster. After a minute it goes on, and the notes say who was there."""

    name, key = "meeting", "meeting-1"

    def encode_images(self, images):
        self.meet()
        return super().encode_images(images)

    def meet(self):
        import ray

        met = Path(__file__).with_name("met")
        met.mkdir(exist_ok=True)
        node = met / ray.get_runtime_context().get_node_id()
        node.write_text(str(len(os.sched_getaffinity(0))))
        deadline = time.monotonic() + PATIENCE_S
        while len([*met.iterdir()]) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)


def meeting():
    return Meeting()
