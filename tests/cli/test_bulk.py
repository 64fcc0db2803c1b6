import shutil
import sys

import pytest

from captioner.cli.bulk import make_parser
from captioner.cli.main import main
from captioner.model_files.directory import CALIBRATION, NEIGHBOURS, CaptionerDirectory, describe
from captioner.model_files.shipped import shipped_model

MODEL = shipped_model("compact")


def call(capsys, *argv):
    status = main(["bulk", *map(str, argv)])
    out, err = capsys.readouterr()
    assert out == ""
    return status, err


@pytest.mark.parametrize(("name", "package"), [("ray", "Ray"), ("pyarrow", "PyArrow")])
def test_without_ray_it_says_what_to_install(monkeypatch, capsys, tmp_path, name, package):
    monkeypatch.setitem(sys.modules, name, None)
    status, err = call(capsys, "photos", "--output", tmp_path / "out")
    assert status == 1
    assert err == (
        f"captioner: bulk needs {package}, which is not installed; install it with: pip install -r "
        "requirements-cluster.txt, or: pip install '.[cluster]', in Captioner's folder\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "argv", [["--output", "out"], ["photos"], ["photos", "--output", "out", "--num-captions", "0"]]
)
def test_wrong_usage(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        make_parser("captioner bulk").parse_args(argv)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("\nSee captioner bulk --help.\n")


@pytest.mark.parametrize(
    ("argv", "style", "features"),
    [
        ([], None, None),
        (["--format", "json"], "json", None),
        (["--features"], None, "published"),
        (["--features", "model"], None, "model"),
    ],
)
def test_what_is_written(argv, style, features):
    arguments = make_parser("captioner bulk").parse_args(["photos", "--output", "out", *argv])
    assert (arguments.format, arguments.features) == (style, features)


class TestWithRay:
    @pytest.fixture(autouse=True)
    def with_ray(self):
        pytest.importorskip("ray", reason="no Ray here: pip install -r requirements-cluster.txt")

    def test_urls_with_different_options_are_refused(self, capsys, tmp_path):
        urls = ("s3://a?region=x", "s3://b?region=y")
        status, err = call(capsys, *urls, "--output", tmp_path / "out", "--model", MODEL)
        assert status == 2
        assert "expected the same options after the ? of every URL, found region=x and region=y" in err

    def test_where_there_is_nothing_no_cluster_is_started(self, capsys, tmp_path):
        (tmp_path / "empty").mkdir()
        status, err = call(
            capsys, tmp_path / "empty", tmp_path / "gone", "--output", tmp_path / "out", "--model", MODEL
        )
        assert status == 1
        assert err == (
            f"captioner: {tmp_path}/empty: neither photos nor .tar or .parquet files in this folder\n"
            f"captioner: {tmp_path}/gone: no such file\n"
            "captioner: nothing to caption\n"
        )
        assert not (tmp_path / "out").exists()

    def test_what_is_there_stays_where_there_is_nothing_to_put_in_its_place(self, capsys, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "part-00000000-0123456789abcdef.jsonl").write_text('{"path": "a.jpg", "error": null}\n')
        status, err = call(capsys, tmp_path / "gone", "--output", out, "--model", MODEL, "--overwrite")
        assert (status, err.splitlines()[-1]) == (1, "captioner: nothing to caption")
        assert [path.name for path in out.iterdir()] == ["part-00000000-0123456789abcdef.jsonl"]

    def test_features_are_no_captions(self, capsys, tmp_path):
        arguments = ("photos", "--output", tmp_path / "out", "--model", MODEL, "--features")
        status, err = call(capsys, *arguments, "--beam-width", 3, "--format", "json")
        assert status == 2
        assert "--format, --beam-width: with --features no captions are made" in err

    @pytest.mark.parametrize(
        ("argv", "complaint"),
        [
            (["--features", "--begin", "a", "--temperature", 1], "--begin, --temperature: with --features no captions"),
            (["--features", "--min-confidence", 0.5], "--min-confidence: with --features no captions are made"),
            (["--seed", 1], "--seed: for captions that are drawn at random; add --temperature"),
        ],
    )
    def test_settings_that_do_not_go_together(self, capsys, tmp_path, argv, complaint):
        status, err = call(capsys, "photos", "--output", tmp_path / "out", "--model", MODEL, *argv)
        assert status == 2
        assert complaint in err

    @pytest.mark.parametrize("made", [True, False])
    def test_a_model_that_does_not_know_how_sure_it_is_is_refused_before_the_work(self, capsys, tmp_path, made):
        model = tmp_path / "model"
        if made:
            shutil.copytree(MODEL, model)
            known = CaptionerDirectory.read(model)
            kept = [name for name in known.manifest if name not in (CALIBRATION, NEIGHBOURS)]
            describe(model, known.config, kept, known.tensors)
        argv = ("photos", "--output", tmp_path / "out", "--model", model, "--min-confidence", 0.5)
        status, err = call(capsys, *argv)
        if made:
            asked = f"run `python -m captioner calibrate --model {model}`"
            assert (status, err) == (2, f"captioner: {model} does not know how sure it is; {asked}\n")
        else:
            assert (status, err.count("\n")) == (1, 1)
        assert not (tmp_path / "out").exists()

    def test_a_url_that_leads_nowhere(self, capsys, tmp_path):
        status, err = call(capsys, "sftp://host/photos", "--output", tmp_path / "out", "--model", MODEL)
        assert status == 1
        first, last = err.splitlines()
        assert first.startswith("captioner: sftp://host/photos: ")
        assert last == "captioner: nothing to caption"
