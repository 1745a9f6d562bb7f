"""Two models behind each other, each in a thread, fed from an event loop."""

import argparse
import asyncio
import queue
import threading
import time
from dataclasses import dataclass

import axengine as axe
import numpy as np


@dataclass
class Job:
    index: int
    image: np.ndarray


class Stage(threading.Thread):
    def __init__(self, path, source, sink):
        super().__init__(daemon=True)
        self.session = axe.InferenceSession(path, providers=[axe.axengine_provider_name])
        self.source, self.sink = source, sink

    def run(self):
        name = self.session.get_inputs()[0].name
        while (job := self.source.get()) is not None:
            self.session.run(None, {name: job.image})
            self.sink.put(Job(job.index, np.ascontiguousarray(job.image[..., :32, :32])))
        self.sink.put(None)


async def main(args):
    frames, found, ended = queue.Queue(2), queue.Queue(2), queue.Queue()
    stages = [Stage(args.detector, frames, found), Stage(args.encoder, found, ended)]
    begun = time.perf_counter()
    for stage in stages:
        stage.start()

    async def feed():
        for index in range(args.frames):
            image = np.full((1, 3, 64, 64), index / args.frames, np.float32)
            await asyncio.to_thread(frames.put, Job(index, image))
        await asyncio.to_thread(frames.put, None)

    feeding = asyncio.create_task(feed())
    order = []
    while (job := await asyncio.to_thread(ended.get)) is not None:
        order.append(job.index)
    await feeding
    print("order:", *order)
    print(f"took: {1e3 * (time.perf_counter() - begun):.6f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--detector", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--frames", type=int, default=12)
    asyncio.run(main(parser.parse_args()))
