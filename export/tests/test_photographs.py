"""Photographs in tars and folders, and the classes that their folders name."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
from PIL import Image

from coppice_export.labels import IMAGENETTE, imagenet_labels
from coppice_export.photographs import class_numbers, find_photographs, spread
from coppice_export.weights import SourceError

NAMES = ("n02102040/b.png", "n01440764/a.png", "n01440764/c.png")


@pytest.fixture
def folder(tmp_path):
    """Three pictures of one colour each, 10 times their place in the list."""
    for number, name in enumerate(NAMES):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6, 3), 10 * number, np.uint8)).save(path)
    return tmp_path / "photographs"


@pytest.fixture
def archive(folder, tmp_path):
    with tarfile.open(tmp_path / "photographs.tar", "w") as tar:
        for name in NAMES:
            tar.add(folder / name, name)
    return tmp_path / "photographs.tar"


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_photographs_come_in_name_order_with_their_pixels(kind, request):
    """A tar and a folder of the same files give the same photographs."""
    found = find_photographs(request.getfixturevalue(kind))
    assert [photograph.name for photograph in found] == sorted(NAMES)
    assert [photograph.pixels()[0, 0, 0] for photograph in found] == [10, 20, 0]
    assert found[0].pixels().shape == (4, 6, 3)


def test_spread_takes_equal_shares_of_every_folder(folder):
    """Six of 30 in order: every fifth; more than there are: all."""
    assert spread(range(30), 6) == [0, 5, 10, 15, 20, 25]
    assert spread(range(3), 6) == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (tuple(name for _, name, _ in IMAGENETTE), [0, 0, 1]),
        (imagenet_labels(), [0, 0, 217]),
        (("cat", "n02102040", "n01440764"), [2, 2, 1]),
    ],
    ids=["ten-classes", "imagenet", "named-like-the-label"],
)
def test_folder_names_its_class(folder, labels, expected):
    """A synset is the class that bears its name, or its place in ImageNet-1k; a folder named like a label is that."""
    assert class_numbers(find_photographs(folder), labels).tolist() == expected


def test_folder_may_bear_the_number_of_its_class(folder):
    """`1` is class 1."""
    (folder / "n02102040").rename(folder / "1")
    (folder / "n01440764").rename(folder / "0")
    assert class_numbers(find_photographs(folder), ("cat", "dog")).tolist() == [0, 0, 1]


def test_folder_of_no_class_is_refused(folder):
    """The sentence names what was found."""
    with pytest.raises(SourceError, match=r"expected folders named after .*, found 'n01440764', 'n02102040'; rename"):
        class_numbers(find_photographs(folder), ("cat", "dog"))


def test_file_that_is_no_image_is_refused_by_name(folder):
    """The refusal names the file and the photograph."""
    (folder / NAMES[0]).write_bytes(b"text")
    with pytest.raises(SourceError, match=r"n02102040/b\.png is no readable image"):
        find_photographs(folder)[2].pixels()


def test_empty_folder_and_broken_tar_are_refused(tmp_path):
    """Nothing to measure on."""
    with pytest.raises(SourceError, match="expected photographs, found no file"):
        find_photographs(tmp_path)
    (tmp_path / "x.tar").write_bytes(b"no tar")
    with pytest.raises(SourceError, match=r"x\.tar: not a readable tar of photographs"):
        find_photographs(tmp_path / "x.tar")
