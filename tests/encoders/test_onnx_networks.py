"""What files of ONNX networks say of themselves, and batches, on networks of a few numbers made here."""

import os

import numpy as np
import pytest

from kis_bench.encoders.onnx.graph import read_graph
from kis_bench.encoders.onnx.networks import find_networks_in
from kis_bench.errors import BadFile

if not os.environ.get("KIS_REQUIRE_ONNX"):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

SIDE = 4


def make_network(file, batch, nodes, tensors=(), functions=(), sparse=()):
    """Pictures ``[batch, 3, 4, 4]`` -> ``image_embeds``, of nodes that are given."""
    import onnx
    from onnx import TensorProto, helper

    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("pixels", [batch, 3, SIDE, SIDE]), ("image_embeds", [batch, None]))
    ]
    graph = helper.make_graph(
        nodes, "of_a_test", ends[:1], ends[1:], tensors, sparse_initializer=sparse
    )
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ours", 1)]
    model = helper.make_model(graph, opset_imports=versions, functions=functions, ir_version=8)
    file.write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)
    return file


def flatten_pictures(output="image_embeds"):
    from onnx import helper

    return helper.make_node("Flatten", ["pixels"], [output])


def make_outside_tensor(name, location="beside.bin"):
    from onnx import TensorProto

    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def make_function(nodes, outputs):
    from onnx import helper

    versions = [helper.make_opsetid("", 17)]
    return helper.make_function("ours", "Inner", ["given"], outputs, nodes, versions)


def test_operators_within_functions_are_found(tmp_path):
    from onnx import helper

    inner = [
        helper.make_node("DynamicQuantizeLinear", ["given"], ["q", "scale", "zero"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["found"]),
    ]
    nodes = [
        flatten_pictures("flat"),
        helper.make_node("Inner", ["flat"], ["image_embeds"], domain="ours"),
    ]
    file = make_network(
        tmp_path / "a.onnx", "n", nodes, functions=[make_function(inner, ["found"])]
    )
    found = read_graph(file)
    assert found.operators == {"Flatten", "Inner", "DynamicQuantizeLinear", "DequantizeLinear"}
    assert found.scales_by_batch
    assert found.precision == "int8"


def hold_in_function(model, tensor):
    from onnx import helper

    model.functions.append(
        make_function([helper.make_node("Constant", [], ["found"], value=tensor)], ["found"])
    )


def hold_in_graphs(model, tensor):
    from onnx import helper

    attribute = model.graph.node[0].attribute.add(name="several", type=10)
    attribute.graphs.append(helper.make_graph([], "inner", [], [], [tensor]))


def hold_in_sparse_weights(model, tensor):
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


def hold_in_sparse_attributes(model, tensor):
    attribute = model.graph.node[0].attribute.add(name="several", type=12)
    attribute.sparse_tensors.add().indices.CopyFrom(tensor)


@pytest.mark.parametrize(
    "hold",
    [
        hold_in_function,
        hold_in_graphs,
        hold_in_sparse_weights,
        hold_in_sparse_attributes,
        lambda model, tensor: (
            model.graph.node[0].attribute.add(name="one", type=4).t.CopyFrom(tensor)
        ),
        lambda model, tensor: (
            model.graph.node[0].attribute.add(name="some", type=9).tensors.append(tensor)
        ),
    ],
)
def test_weights_elsewhere_are_found_wherever_they_are_named(tmp_path, hold):
    import onnx

    file = make_network(tmp_path / "a.onnx", "n", [flatten_pictures()])
    assert read_graph(file).external == ()
    for location in ("beside.bin", "below/beside.bin"):
        model = onnx.load(file, load_external_data=False)
        hold(model, make_outside_tensor("w", location))
        (tmp_path / "b.onnx").write_bytes(model.SerializeToString())
        assert read_graph(tmp_path / "b.onnx").external == (location,)
    for location in ("../beside.bin", "/beside.bin", "..\\beside.bin", "C:beside.bin"):
        model = onnx.load(file, load_external_data=False)
        hold(model, make_outside_tensor("w", location))
        (tmp_path / "c.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(BadFile, match="weights outside of its folder, in 'beside.bin'"):
            read_graph(tmp_path / "c.onnx")


@pytest.mark.parametrize(
    ("halves", "singles", "precision"), [(100, 1, "fp16"), (100, 60, "fp32"), (0, 0, "fp32")]
)
@pytest.mark.parametrize("packed", [False, True])
def test_precision_is_that_of_most_bytes(tmp_path, halves, singles, precision, packed):
    """A scalar of float32 in a network of float16, as converters leave them, doesn't make it float32."""
    from onnx import numpy_helper

    tensors = [
        numpy_helper.from_array(np.zeros((n, 2), kind), name)
        for name, n, kind in (("h", halves, np.float16), ("s", singles, np.float32))
    ]
    file = make_network(tmp_path / "a.onnx", "n", [flatten_pictures()], tensors)
    if packed:  # as writers of newer protobuf have the lengths of a tensor: both in one field
        content = file.read_bytes()
        for n in {halves, singles}:
            plain = bytes([0x08, n, 0x08, 2])
            assert plain in content
            content = content.replace(plain, bytes([0x0A, 2, n, 2]))
        file.write_bytes(content)
    assert read_graph(file).precision == precision


# Batches --------------------------------------------------------------------------------------------------------


def open_side(file):
    from kis_bench.encoders.onnx.session import NetworkSide, OnnxNetwork

    network = OnnxNetwork.open(file)
    side = NetworkSide(
        network, "image_embeds", {}, scales_by_batch=read_graph(file).scales_by_batch
    )
    side.find_batch(network.feed_pixels(draw_pictures(2)))
    return side


def draw_pictures(n):
    return np.random.default_rng(0).random((n, 3, SIDE, SIDE), dtype=np.float32)


@pytest.mark.parametrize("batch", ["n", 2, 3])
def test_neighbours_count_in_a_batch_of_a_declared_size_too(tmp_path, batch):
    from onnx import helper

    nodes = [
        flatten_pictures("flat"),
        helper.make_node("ReduceMean", ["flat"], ["mean"], axes=[0]),
        helper.make_node("Mul", ["flat", "mean"], ["image_embeds"]),
    ]
    side = open_side(make_network(tmp_path / "a.onnx", batch, nodes))
    assert side.alone
    assert "vectors of a.onnx depend on what else is in a batch" in side.note
    assert side.note.startswith(f"a.onnx takes {batch} at a time, and") == (batch != "n")
    pictures = draw_pictures(5)
    whole = side.run(side.network.feed_pixels(pictures))
    parts = [side.run(side.network.feed_pixels(pictures[i : i + 1])) for i in range(5)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("batch", ["n", 1, 2, 3])
def test_batches_without_neighbours_stay_whole(tmp_path, batch):
    side = open_side(make_network(tmp_path / "a.onnx", batch, [flatten_pictures()]))
    assert not side.alone
    assert side.note == ("" if batch == "n" else f"a.onnx takes {batch} at a time")
    found = side.run(side.network.feed_pixels(draw_pictures(5)))
    flat = draw_pictures(5).reshape(5, 1, -1)
    np.testing.assert_allclose(found, flat / np.linalg.norm(flat, axis=2, keepdims=True), rtol=1e-6)


# Places ---------------------------------------------------------------------------------------------------------


def test_networks_in_a_folder_and_below_it_are_one_choice(tmp_path):
    (tmp_path / "onnx").mkdir()
    for name in ("vision_model_fp16.onnx", "onnx/vision_model.onnx", "onnx/vision_model_q4.onnx"):
        (tmp_path / name).touch()
    chosen = {
        variant: find_networks_in(tmp_path, variant, {}).images for variant in ("", "fp16", "q4")
    }
    assert {variant: file.relative_to(tmp_path).as_posix() for variant, file in chosen.items()} == {
        "": "onnx/vision_model.onnx",
        "fp16": "vision_model_fp16.onnx",
        "q4": "onnx/vision_model_q4.onnx",
    }
    (tmp_path / "onnx" / "vision_model_fp16.onnx").touch()
    assert find_networks_in(tmp_path, "fp16", {}).images.parent == tmp_path
    with pytest.raises(BadFile, match="no network of the variant 'int8'; there is: "):
        find_networks_in(tmp_path, "int8", {})
    (tmp_path / "onnx" / "vision_model.onnx").unlink()
    with pytest.raises(BadFile, match="networks of variants only; there is: .*q4"):
        find_networks_in(tmp_path, "", {})
