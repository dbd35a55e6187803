"""Tests of the command-line configuration."""

import pathlib

import gin
import pytest
import toy_stages

from pdtla.training import bindings, configs
from pdtla.training import train as train_lib

TOY = str(pathlib.Path(__file__).parent / "toy.gin")
SMOKE = "gin/smoke.gin"


def parse(*arguments, files=(TOY, SMOKE), roots=(train_lib.train,)):
    """Parses as the command line does."""
    rewritten = configs.rewrite_gin_arguments(arguments)
    texts = [argument.removeprefix("--gin_bindings=") for argument in rewritten]
    return configs.parse_gin(files, texts, roots=roots)


def error_of(*arguments, **kwargs):
    with pytest.raises(configs.ConfigError) as caught:
        parse(*arguments, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture(name="write")
def fixture_write(tmp_path):
    def write(text, name="extra.gin"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("argument", "binding"),
    [
        ("--gin.ENV_ID=bigfish", "ENV_ID = 'bigfish'"),
        ("--gin.SEED=3", "SEED = 3"),
        ("--gin.LEARNING_RATE=3e-4", "LEARNING_RATE = 0.0003"),
        ("--gin.NUM_TRAJS=-1", "NUM_TRAJS = -1"),
        ("--gin.X=True", "X = True"),
        ("--gin.X=false", "X = False"),
        ("--gin.X=None", "X = None"),
        ("--gin.X=(1, 2)", "X = (1, 2)"),
        ("--gin.X='quoted'", "X = 'quoted'"),
        ("--gin.X={'a': 1}", "X = {'a': 1}"),
        ("--gin.VQ=@vq.Identity()", "VQ = @vq.Identity()"),
        ("--gin.X=%SEED", "X = %SEED"),
        ("--gin.X=[@a.B(), %C]", "X = [@a.B(), %C]"),
        ("--gin.X=", "X = ''"),
        ("--gin.DATASET_NAME=d4rl/v0-expert", "DATASET_NAME = 'd4rl/v0-expert'"),
        ("--gin.LAM_RUN=/runs/2024-08-23", "LAM_RUN = '/runs/2024-08-23'"),
        ("--gin.LAM_RUN=2024-08-23-a=b", "LAM_RUN = '2024-08-23-a=b'"),
        ("--gin.idm/MLP.hidden=(8,)", "idm/MLP.hidden = (8,)"),
    ],
)
def test_gin_arguments_become_bindings(argument, binding):
    assert configs.rewrite_gin_arguments([argument]) == [f"--gin_bindings={binding}"]


def test_other_arguments_stay():
    arguments = ["train", "--gin_file=a.gin", "--workdir=x"]
    assert configs.rewrite_gin_arguments(arguments) == arguments


def test_argument_without_value():
    with pytest.raises(configs.ConfigError, match="--gin.NAME=VALUE"):
        configs.rewrite_gin_arguments(["--gin.SEED"])


def test_later_files_win_and_bindings_win_over_files(write):
    first = write("SEED = 1\nBATCH_SIZE = 11\nNUM_EVALS = 1", "first.gin")
    second = write("SEED = 2\nBATCH_SIZE = 22", "second.gin")
    parse("--gin.SEED=3", "--gin.train.log_every=7", files=[TOY, first, second])
    assert gin.query_parameter("SEED/gin.macro.value") == 3
    assert gin.query_parameter("BATCH_SIZE/gin.macro.value") == 22
    assert gin.query_parameter("NUM_EVALS/gin.macro.value") == 1
    assert gin.query_parameter("pdtla.training.train.train.log_every") == 7


def test_files_and_includes_are_found_from_anywhere(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = write("include 'gin/smoke.gin'\nSEED = 5")
    parse(files=[TOY, file])
    assert gin.query_parameter("SEED/gin.macro.value") == 5
    assert gin.query_parameter("BATCH_SIZE/gin.macro.value") == 4


def test_config_string_parses_to_the_same_configuration(write):
    parse("--gin.NoisyMLP.hidden=5", "--gin.ENV_ID=coinrun")
    text = gin.config_str()
    parse(files=[write(text)])
    assert gin.config_str() == text
    assert gin.get_configurable(toy_stages.NoisyMLP)().hidden == 5


def test_misspelt_macro_on_the_command_line():
    message = error_of("--gin.BATCH_SIZ=3")
    assert "Unknown macro BATCH_SIZ" in message
    assert "Did you mean BATCH_SIZE" in message


def test_misspelt_macro_in_a_file(write):
    message = error_of(files=[TOY, write("NUM_UPDATS = 3")])
    assert "NUM_UPDATS" in message
    assert "NUM_UPDATES" in message


def test_macro_that_is_read_but_not_set(write):
    message = error_of(files=[TOY, write("BATCH_SIZE = %SEEDS")])
    assert message == "Macro SEEDS is read but not set. Did you mean SEED?"


def test_required_macro():
    message = error_of("--gin.STAGE=%gin.REQUIRED")
    assert message == "STAGE must be set, for instance --gin.STAGE=VALUE."


def test_required_macro_that_is_not_reached_is_no_error(write):
    parse(files=[TOY, write("LAM_RUN = %gin.REQUIRED")])


def test_unknown_file():
    message = error_of(files=["gin/smok.gin"])
    assert message.startswith("No gin file 'gin/smok.gin'. Did you mean gin/smoke.gin")


def test_unknown_selector_on_the_command_line():
    message = error_of("--gin.NoisyMLB.hidden=3")
    assert "No configurable matching 'NoisyMLB'" in message
    assert "Did you mean NoisyMLP" in message


def test_unknown_selector_in_a_file(write):
    header = "from __gin__ import dynamic_registration\nimport toy_stages\n"
    file = write(header + "toy_stages.NoisyMLB.hidden = 3")
    message = error_of(files=[TOY, file])
    assert "toy_stages has no NoisyMLB" in message
    assert "NoisyMLP" in message


def test_missing_import(write):
    header = "from __gin__ import dynamic_registration\n"
    message = error_of(files=[TOY, write(header + "nowhere.Thing.x = 3")])
    assert "'nowhere' was not provided by an import statement" in message
    assert "extra.gin:2" in message


def test_syntax_error(write):
    assert "extra.gin" in error_of(files=[TOY, write("SEED 3")])


@pytest.mark.parametrize(
    ("argument", "suggestion"),
    [
        ("--gin.train.batchsize=3", "batch_size"),
        ("--gin.NoisyMLP.hiden=3", "hidden"),  # the class forwards **kwargs
        ("--gin.AdamW.weight_decai=0.1", "weight_decay"),
    ],
)
def test_unknown_parameter(argument, suggestion):
    message = error_of(argument)
    assert "has no parameter" in message
    assert suggestion in message


def test_base_class_parameter_is_known():
    parse("--gin.NoisyMLP.name=a", "--gin.NoisyMLP.dtype=float32")


def test_command_line_binding_must_be_used():
    message = error_of("--gin.CONTEXT_WINDOW=5")
    assert "has no effect: this run never uses CONTEXT_WINDOW" in message


def test_command_line_binding_of_a_class_that_is_not_built(write):
    header = "from __gin__ import dynamic_registration\nimport toy_stages\n"
    file = write(header + "toy_stages.LinearRegression.initial = 1.0")
    parse(files=[TOY, file])  # a file may bind it
    message = error_of("--gin.LinearRegression.initial=2.0", files=[TOY, file])
    assert "has no effect" in message


def test_command_line_binding_hidden_by_a_scope(write):
    header = "from __gin__ import dynamic_registration\nimport toy_stages\n"
    file = write(
        header + "STAGE = @inner/toy_stages.NoisyMLP\n"
        "inner/toy_stages.NoisyMLP.hidden = 3"
    )
    assert "has no effect" in error_of("--gin.NoisyMLP.hidden=4", files=[TOY, file])
    parse("--gin.inner/NoisyMLP.hidden=4", files=[TOY, file])


def needs_argument(*, size, child=None):
    return size, child


def holder(*, item=None):
    return item


def test_constructions_must_be_complete(write):
    header = "from __gin__ import dynamic_registration\nimport test_configs as t\n"
    file = write(header + "t.holder.item = @t.needs_argument()")
    with pytest.raises(configs.ConfigError, match="needs_argument.size has no default"):
        configs.parse_gin([file], [], roots=[holder], base_file=None)
    configs.parse_gin([file], ["needs_argument.size = 1"], roots=[holder])


def test_usage_follows_macros_scopes_and_containers(write):
    header = "from __gin__ import dynamic_registration\nimport test_configs as t\n"
    file = write(
        header + "PAIR = [@a/t.needs_argument(), {'b': @b/t.needs_argument()}]\n"
        "t.holder.item = %PAIR\n"
        "t.needs_argument.size = 1\n"
        "a/t.needs_argument.size = 2\n"
        "b/t.needs_argument.child = %CHILD\n"
        "CHILD = 'c'\n"
    )
    usage = configs.parse_gin([file], [], roots=[holder], base_file=None)
    selector = "t.needs_argument"
    assert usage.used == {
        bindings.Binding("", "t.holder", "item"),
        bindings.Binding("PAIR", "gin.macro", "value"),
        bindings.Binding("a", selector, "size"),
        bindings.Binding("", selector, "size"),
        bindings.Binding("b", selector, "child"),
        bindings.Binding("CHILD", "gin.macro", "value"),
    }
    expected = [(2, None), {"b": (1, "c")}]
    assert gin.get_configurable(holder)() == expected


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--gin.SEED=1.5", "SEED must be of type int, got 1.5."),
        ("--gin.SEED=True", "SEED must be of type int, got True."),
        ("--gin.BATCH_SIZE=@NoisyMLP", "BATCH_SIZE must be of type int, got @"),
        (
            "--gin.LEARNING_RATE=fast",
            "LEARNING_RATE must be of type float, got 'fast'.",
        ),
        ("--gin.CLIP_NORM=(1,)", "CLIP_NORM must be of type float | None, got (1,)."),
        ("--gin.AdamW.epsilon=small", "AdamW.epsilon must be of type float | None"),
        ("--gin.OWN_OPTIMIZERS=3", "OWN_OPTIMIZERS must be of type Sequence["),
        ("--gin.STAGE=3", "STAGE must be of type Callable["),
        ("--gin.SEED=%SEED", "Macro SEED is bound to itself."),
        ("--gin.SEED=(", "EOF in multi-line statement"),
    ],
)
def test_value_of_another_type(argument, message):
    assert message in error_of(argument)


@pytest.mark.parametrize(
    "argument",
    ["--gin.LEARNING_RATE=1", "--gin.CLIP_NORM=None", "--gin.SEED=%BATCH_SIZE"],
)
def test_value_of_a_type_that_fits(argument):
    parse(argument)
