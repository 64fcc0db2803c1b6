import math

from captioner.training.epoch_stages import of_parent, with_stages


def rows(*rewards: float) -> list[dict[str, float]]:
    return [{"epoch": epoch, "reward": reward} for epoch, reward in enumerate(rewards, start=1)]


def stages(history) -> list[str]:
    return [row.get("stage", "") for row in history]


def metrics(done: int, /, **settings) -> dict:
    return {"epochs": done, "settings": settings}


def test_known_stages_stay():
    known = [{"epoch": 1, "stage": "fine_tuning"}, {"epoch": 2}]
    assert with_stages(known, metrics(2, epochs=2)) == known


def test_one_stage_beside_the_one_with_rewards_is_known_from_the_settings():
    history = rows(math.nan, math.nan, 0.5)
    assert stages(with_stages(history, metrics(3, epochs=2))) == ["cross_entropy", "cross_entropy", "self_critical"]
    assert stages(with_stages(history, metrics(3, fine_tune_epochs=2)))[:2] == ["fine_tuning"] * 2
    assert stages(with_stages(history, metrics(3, network="compact", epochs=3))) == ["joint"] * 3
    assert all("stage" not in row for row in history)


def test_where_the_first_stage_ended_is_not_guessed():
    history = rows(math.nan, math.nan, 0.5)
    assert stages(with_stages(history, metrics(3, epochs=1, fine_tune_epochs=1))) == ["", "", "self_critical"]


def test_the_epochs_of_the_model_before_have_its_name():
    history = rows(math.nan, math.nan, 0.5, 0.5)
    now = metrics(2, epochs=0, self_critical_epochs=2, init_from="saved_models/pupil")
    expected = ["self_critical", "self_critical"]
    assert stages(with_stages(history, now)) == ["pupil", "pupil", *expected]
    before = metrics(2, epochs=0, fine_tune_epochs=2)
    assert stages(with_stages(history, now | {"before": before})) == ["pupil: fine_tuning"] * 2 + expected
    longer = metrics(1, fine_tune_epochs=2)  # it had epochs of a model before it
    assert stages(with_stages(history, now | {"before": longer})) == ["pupil", "pupil", *expected]


def test_the_scores_before_the_first_epoch_belong_to_it():
    history = [{"epoch": 0}, *rows(0.5)]
    assert stages(with_stages(history, metrics(1, self_critical_epochs=1, init_from="other"))) == ["self_critical"] * 2


def test_ancestors_keep_their_names():
    history = [{"epoch": 1, "stage": "base: joint"}, {"epoch": 2, "stage": "joint"}, {"epoch": 3}]
    assert stages(of_parent(history, "pupil")) == ["base: joint", "pupil: joint", "pupil"]
