"""Items found by the names of their files."""

from kis_bench.datasets.label_formats.picture_names import PictureNames
from kis_bench.datasets.listing import PictureFiles
from kis_bench.records import Collection


class CountedText(str):
    """A text that counts how often it is looked into."""

    __slots__ = ()
    looks = 0

    def look(self):
        CountedText.looks += 1

    def endswith(self, *ends):
        self.look()
        return super().endswith(*ends)

    def rpartition(self, mark):
        self.look()
        return super().rpartition(mark)

    def __getitem__(self, index):
        self.look()
        return super().__getitem__(index)


def find_all(ids, written, **more):
    pictures = PictureFiles("/nowhere", [f"{item}.png" for item in ids])
    names = PictureNames(Collection("mine", tuple(ids), pictures, ()), folders_count=True, **more)
    return [names.find(name) for name in written]


def count_looks(n, name):
    CountedText.looks = 0
    ids = [CountedText(f"all/v{i}/frames/0001") for i in range(n)]
    assert find_all(ids, [name.format(i) for i in range(n)]) == [[item] for item in ids]
    return CountedText.looks


def test_names_that_many_folders_have_are_found_in_linear_time():
    for name in ("v{}/frames/0001.jpg", "/elsewhere/v{}/frames/0001.jpg"):
        assert 0 < count_looks(400, name) <= 2.5 * count_looks(200, name)


def test_a_name_may_mean_several_items_below_folders():
    ids = ["a/x/1", "b/x/1", "b/1", "1/x"]
    written = ["x/1.png", "1.png", "a/x/1", "../gone/a/x/1.jpg", "", "/"]
    found = [["a/x/1", "b/x/1"], ["a/x/1", "b/x/1", "b/1"], ["a/x/1"]]
    assert find_all(ids, written[:3]) == found
    assert find_all(ids, written[3:]) == [["a/x/1"], [], []]
    assert find_all(ids, written[:2], within="b") == [["b/x/1"], ["b/x/1", "b/1"]]
