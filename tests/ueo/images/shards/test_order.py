"""The order of an epoch over shards: every image once, and the same order after a resume."""

import pytest

from ueo.images.shards.order import Order


def epoch(order: Order, seed: int, lane: int) -> list[tuple[int, int]]:
    """(shard, row) of a lane's images in reading order."""
    return [(p.shard, row) for p in order.pieces(seed, lane) for row in range(p.start, p.stop)]


@pytest.mark.parametrize("counts", [(10, 13, 0, 7, 11), (1, 1, 1, 1), (41,)])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_lanes_hold_every_image_once_and_equally_many(counts, lanes):
    order = Order(counts, 8, lanes, 5)
    found = [epoch(order, 3, lane) for lane in range(lanes)]
    every = [(shard, row) for shard, count in enumerate(counts) for row in range(count)]
    assert sorted(sum(found, [])) == every
    assert [order.length(lane) for lane in range(lanes)] == list(map(len, found))
    assert max(map(len, found)) - min(map(len, found)) <= 1
    batches = [sum(order.in_batch(b, lane) for lane in range(lanes)) for b in range(len(order))]
    assert sum(batches) == sum(counts) and set(batches[:-2]) <= {8} and batches[-1] > 0


def test_a_lane_resumes_from_any_position():
    order = Order((10, 13, 0, 7, 11), 8, 2, 5)
    for lane in range(2):
        whole = epoch(order, 3, lane)
        for skip in range(len(whole)):
            rest = [(p.shard, row) for p in order.pieces(3, lane, skip)
                    for row in range(p.start, p.stop)]
            assert rest == whole[skip:]


def test_each_epoch_has_an_order_of_its_own_and_lanes_divide_the_batch():
    order = Order((5,) * 6, 12, 8, 100)
    assert order.number == 4 and order.size == 3 and order.block == 25
    assert epoch(order, 1, 0) != epoch(order, 2, 0)
    assert sorted(order.shuffled(1, 0, 0, 25)) == list(range(25))
    keys = (1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1)
    assert len({tuple(order.shuffled(*key, 25)) for key in keys}) == 4
