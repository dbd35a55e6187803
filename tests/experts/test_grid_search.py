import numpy as np

from pdtla.experts import grid_search

FREE = np.array(
    [
        [1, 1, 1, 1],
        [1, 0, 0, 1],
        [1, 1, 0, 0],
        [0, 0, 0, 1],
    ],
    bool,
)


def test_distances_count_steps_around_walls():
    expected = np.array(
        [
            [3, 2, 1, 0],
            [4, -1, -1, 1],
            [5, 6, -1, -1],
            [-1, -1, -1, -1],
        ]
    )
    np.testing.assert_array_equal(grid_search.distances(FREE, [(3, 0)]), expected)


def test_distances_take_the_nearest_goal_even_in_a_wall():
    distance = grid_search.distances(FREE, [(3, 0), (1, 1)])
    assert distance[1, 1] == 0
    assert distance[0, 1] == 1
    assert distance[1, 0] == 1


def test_actions_lead_closer():
    distance = grid_search.distances(FREE, [(3, 0)])
    actions = grid_search.actions_towards(distance, default=4)
    left, right, down, up = 1, 7, 3, 5
    assert actions[0].tolist() == [right, right, right, 4]
    assert actions[1, 0] == down and actions[1, 3] == down
    assert actions[2].tolist() == [down, left, 4, 4]
    assert actions[3, 3] == 4  # out of reach
    reverse = grid_search.actions_towards(
        grid_search.distances(FREE, [(1, 2)]), default=4
    )
    assert reverse[0, 0] == up and reverse[0, 3] == left
