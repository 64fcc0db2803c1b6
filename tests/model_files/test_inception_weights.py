import h5py
import numpy as np
import pytest

from captioner.errors import CaptionerError
from captioner.model_files.convolution import Convolution
from captioner.model_files.inception_weights import read_convolutions

DRAW = np.random.default_rng(5)
KERNELS = [DRAW.normal(size=(3, 3, 3, 4)).astype(np.float32), DRAW.normal(size=(1, 1, 4, 2)).astype(np.float32)]
NORMS = [DRAW.uniform(0.5, 2, (3, channels)).astype(np.float32) for channels in (4, 2)]


def wanted() -> list[Convolution]:
    return [Convolution.folded(kernel, norm) for kernel, norm in zip(KERNELS, NORMS, strict=True)]


@pytest.fixture
def numbered(tmp_path):
    path = tmp_path / "new.weights.h5"
    with h5py.File(path, "w") as file:
        for suffix, kernel, norm in zip(("", "_1"), KERNELS, NORMS, strict=True):
            file[f"layers/conv2d{suffix}/vars/0"] = kernel
            for number, values in enumerate(norm):
                file[f"layers/batch_normalization{suffix}/vars/{number}"] = values
    return path


@pytest.fixture
def published(tmp_path):
    path, names = tmp_path / "old.h5", ["input_1", "conv2d_94", "batch_normalization_94", "conv2d_7", "bn", "mixed"]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            file.create_group(name).attrs["weight_names"] = []
        for (convolution, norm), kernel, values in zip((names[1:3], names[3:5]), KERNELS, NORMS, strict=True):
            arrays = {
                f"{norm}/{part}:0": each
                for part, each in zip(("beta", "moving_mean", "moving_variance"), values, strict=True)
            }
            for layer, weights in ((convolution, {f"{convolution}/kernel:0": kernel}), (norm, arrays)):
                file[layer].attrs["weight_names"] = [name.encode() for name in weights]
                for name, each in weights.items():
                    file[layer][name] = each
    return path


@pytest.mark.parametrize("layout", ["numbered", "published"])
def test_both_of_keras_layouts_are_read(layout, request):
    found = read_convolutions(request.getfixturevalue(layout), 2)
    for each, other in zip(found, wanted(), strict=True):
        np.testing.assert_array_equal(each.kernel, other.kernel)
        np.testing.assert_array_equal(each.bias, other.bias)


@pytest.mark.parametrize("layout", ["numbered", "published"])
def test_too_few_convolutions_are_refused(layout, request):
    with pytest.raises(CaptionerError, match="does not hold the weights of InceptionV3"):
        read_convolutions(request.getfixturevalue(layout), 3)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(CaptionerError, match=r"text\.h5"):
        read_convolutions(tmp_path / "text.h5", 2)
    with pytest.raises(CaptionerError, match=r"nowhere\.h5"):
        read_convolutions(tmp_path / "nowhere.h5", 2)


def test_a_link_to_another_file_is_refused(numbered, tmp_path):
    with h5py.File(tmp_path / "hostile.h5", "w") as file:
        file["layers"] = h5py.ExternalLink(str(numbered), "layers")
    with pytest.raises(CaptionerError, match="link"):
        read_convolutions(tmp_path / "hostile.h5", 2)
