"""The peer of bench/pusht_steps: the same worlds and control steps in plain pymunk, without environment or drawing.

    python3 bench/peers/pusht_steps.py [--episodes 40]

Prints one line "steps_per_second NUMBER contact_points NUMBER", by processor time. The reward is left out: the original takes it from
shapely, which would cost it more time. Needs pymunk==6.2.1 and numpy from PyPI.
"""
import argparse
import time

import numpy as np
import pymunk

WALLS = [((5, 506), (5, 5)), ((5, 5), (506, 5)), ((506, 5), (506, 506)), ((5, 506), (506, 506))]
BAR = [(-60, 30), (60, 30), (60, 0), (-60, 0)]
STEM = [(-15, 30), (-15, 120), (15, 120), (15, 30)]


class World:
    def __init__(self, seed):
        self.space = pymunk.Space()
        self.space.damping = 0
        for a, b in WALLS:
            self.space.add(pymunk.Segment(self.space.static_body, a, b, 2))
        self.agent = pymunk.Body(body_type=pymunk.Body.KINEMATIC)
        self.agent.position = 256, 400
        self.space.add(self.agent, pymunk.Circle(self.agent, 15))
        self.block = pymunk.Body(1, 2 * pymunk.moment_for_poly(1, BAR))
        shapes = [pymunk.Poly(self.block, corners) for corners in (BAR, STEM)]
        self.block.center_of_gravity = 0, 45
        self.block.position = 256, 300
        self.space.add(self.block, *shapes)
        self.points = 0
        self.space.add_collision_handler(0, 0).post_solve = self.count
        r = np.random.RandomState(seed)
        self.agent.position = r.randint(50, 450), r.randint(50, 450)
        self.block.position = r.randint(100, 400), r.randint(100, 400)
        self.block.angle = r.randn() * 2 * np.pi - np.pi
        self.space.step(0.01)

    def count(self, arbiter, space, data):
        self.points += len(arbiter.contact_point_set.points)

    def step(self, target):
        for _ in range(10):
            acceleration = 100 * (target - self.agent.position) + 20 * (pymunk.Vec2d(0, 0) - self.agent.velocity)
            self.agent.velocity += acceleration * 0.01
            self.space.step(0.01)


def run(episodes):
    points = 0
    for seed in range(episodes):
        world = World(seed)
        world.points = 0
        random = np.random.RandomState(seed + 1_000_000)
        for t in range(100):
            if t % 5 == 0:
                x, y = world.block.position
                target = pymunk.Vec2d(x + 160 * (random.random_sample() - 0.5), y + 160 * (random.random_sample() - 0.5))
            world.step(target)
        points += world.points
    return points


parser = argparse.ArgumentParser()
parser.add_argument("--episodes", type=int, default=40)
args = parser.parse_args()
run(2)
start = time.process_time()
points = run(args.episodes)
print(f"steps_per_second {100 * args.episodes / (time.process_time() - start):.0f} contact_points {points}")
